//! End-to-end tests of the workspace; see the `tests` folder.

pub mod command;
pub mod planted;
