//! `LoRA` files of every maker, understood from names, shapes and header metadata, and added to weights on plain slices.
//!
//! [`read()`] fits a file's names to the modules of a model ([`ModelModules`]) and gives the [`Adapter`] with a
//! [`FitReport`]; [`merge()`] adds adapters to one weight; [`pair_names`] and [`header`] are what a file of ours gets. The
//! order of reading: `modules`, `keys`, `fit`, `merge`.
//!
//! Names are never taken apart at their underscores: all names that a module can have are made from the model's own
//! modules, and looked up. `lora_unet_mid_block_attentions_0_proj_in` has no other safe reading.

mod adapter;
mod base;
mod fit;
mod keys;
mod ldm;
mod merge;
mod modules;
mod report;
mod shapes;
mod stated;
mod write;

pub use adapter::{Adapter, Alpha, AlphaSource, Factors, LoraFile, Pair};
pub use base::BaseFamily;
pub use fit::{Fit, read};
pub use keys::Method;
pub(super) use ldm::ldm_paths;
pub use merge::{Contribution, Read, add_pair, merge};
pub use modules::{Component, ModelModules, Module};
pub use report::{Base, ComponentFit, FitReport, Form, Ignored, Reason, Refusal};
pub use write::{About, PairNames, SaveForm, SavedPair, adapter_config, header, pair_names};
