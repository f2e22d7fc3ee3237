//! Ready-made models: registers and a key-value service.

mod key_value;
mod prefix;
mod register;

pub use key_value::{KeyValue, KeyValueCall, KeyValueInput, KeyValueOutput, KeyValueState};
pub use register::{
    CasRegister, CasRegisterInput, CasRegisterOutput, Register, RegisterInput, RegisterOutput,
};
