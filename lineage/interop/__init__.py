"""Other tools' formats and interfaces come in and go out."""
