"""The suite that must never be loosened."""
