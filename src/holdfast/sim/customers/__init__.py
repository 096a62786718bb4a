"""The client's customers: they come when they come, however slow the shop is, and leave when patience ends."""
