"""Set-up, generated files and other chores of this repository; nothing here ships."""
