"""The walk through the bot's screens, in English and in Russian."""
