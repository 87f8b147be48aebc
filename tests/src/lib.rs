//! End-to-end tests, benches and fixtures of Packets.
