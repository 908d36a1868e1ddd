"""Services that an fsspec package speaks to, each behind the few questions of `provider.law`; `reference.remote` asks them."""
