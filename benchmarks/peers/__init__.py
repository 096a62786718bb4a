"""The other load generators: how each is obtained and driven, beside ours, against the same target."""
