//! What a replica needs around it in the real world, a piece a file; `node` puts them together.

pub(crate) mod caller;
pub(crate) mod clock;
pub(crate) mod disk;
pub(crate) mod link;
pub(crate) mod node;
pub(crate) mod service;
pub(crate) mod story;
