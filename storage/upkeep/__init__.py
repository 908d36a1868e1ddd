"""Keeping a store honest: verifying what is there, freeing what nobody needs."""
