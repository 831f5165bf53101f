"""Rendered places without people: streets, parks, beaches, plazas and rooms, with a known camera and ground."""
