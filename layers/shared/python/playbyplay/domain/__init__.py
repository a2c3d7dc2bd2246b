"""The rules, as pure code: values in, values out, no clock and no I/O."""
