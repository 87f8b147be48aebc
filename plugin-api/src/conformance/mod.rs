//! Suites that any implementation of a contract must pass, and fakes.
