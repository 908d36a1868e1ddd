"""What can be done, one verb a file. Each gathers, decides, applies, in that order; askers call these and nothing below them."""
