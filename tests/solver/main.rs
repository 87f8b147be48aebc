//! Which packages a request needs, and why a request is refused.

mod archive;
mod debian;
mod model;
mod refusals;
