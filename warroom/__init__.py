"""The command line and what joins the rooms: settings from files, `up`, `demo`."""
