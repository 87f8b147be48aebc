//! Storage: index.db and installed.db.
