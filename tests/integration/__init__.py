"""The Lambda handlers, composed as on AWS, on moto; only the posts are a fake's."""
