//! Fetch source: HTTP and HTTPS mirrors.
