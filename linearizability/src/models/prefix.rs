//! A key of the key-value service seen as a register, appends included.

use crate::{KeyValueInput, KeyValueOutput, Operation, RegisterView, Symbol, Symbols};

/// The register that a key is, if what its appends met can be told from what was seen.
pub(crate) fn view(
    _symbols: &Symbols,
    _initial: Option<Symbol>,
    _operations: &[&Operation<KeyValueInput, KeyValueOutput>],
) -> Option<RegisterView> {
    None
}
