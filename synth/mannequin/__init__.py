"""The embedded source of people and backgrounds: procedural, offline, with exact labels."""
