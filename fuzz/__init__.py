"""Everything that reads what strangers send, fed with what no sane stranger would: `make fuzz`."""
