"""Tests of single modules, beside the layout of the source."""
