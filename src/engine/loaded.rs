//! [`Loaded`]: the models in memory. On the processor one: its weights lie in mapped files, and another's are as near. On a
//! card as many as its memory holds beside the work, the one used longest ago going first.

use std::path::Path;

use crate::domain::{Cancel, DeviceChoice, DeviceUse, ModelRef, Precision, Result, UserError};
use crate::models::{self, Backend, Model, Placement};

/// The models in memory, and where they compute.
#[derive(Default)]
pub(super) struct Loaded {
    placement: Placement,
    precision: Precision,
    /// The one in hand first, the one used longest ago last.
    models: Vec<Model>,
}

impl Loaded {
    /// Computes elsewhere from now on. Every model goes: none is of use there.
    pub fn use_device(&mut self, choice: DeviceChoice) -> DeviceUse {
        if self.placement.used().asked != choice {
            self.models.clear();
            self.placement = Placement::on(Backend::open(choice), self.precision);
        }
        self.placement.used().clone()
    }

    /// Computes as exactly as this from now on. On a card the models' numbers depend on it, and so they go; the processor
    /// is told with each picture.
    pub fn use_precision(&mut self, precision: Precision) {
        let is_other = std::mem::replace(&mut self.precision, precision) != precision;
        if is_other && self.placement.memory().is_some() {
            self.models.clear();
            let asked = self.placement.used().asked;
            self.placement = Placement::on(Backend::open(asked), precision);
        }
    }

    /// What models are opened with.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Drops every model.
    pub fn clear(&mut self) {
        self.models.clear();
    }

    /// The model in hand.
    ///
    /// # Errors
    /// When none is.
    pub fn in_hand(&mut self) -> Result<&mut Model> {
        self.models.first_mut().ok_or_else(|| UserError::failed("The model is not loaded"))
    }

    /// Makes a model the one in hand; `loading` is told before it is read from its file. What must go for it goes first:
    /// two may not fit into memory.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn load(
        &mut self,
        model: &ModelRef,
        vae: Option<&Path>,
        cancel: &Cancel,
        loading: &mut dyn FnMut(),
    ) -> Result<&mut Model> {
        let is_it = |loaded: &Model| loaded.info.model == *model && loaded.other_vae.as_deref() == vae;
        if let Some(i) = self.models.iter().position(is_it) {
            self.models[..=i].rotate_right(1);
        } else {
            self.make_room(model, vae)?;
            loading();
            let open = || models::open_on(self.placement.clone(), model, vae, cancel, &mut |_| ());
            let opened = match open() {
                Err(error) if models::is_out_of_memory(&error) && !self.models.is_empty() => {
                    self.models.clear();
                    open()
                }
                opened => opened,
            };
            self.models.insert(0, opened?);
        }
        self.in_hand()
    }

    /// Drops all but the one in hand; `false` where there is no other.
    pub fn drop_others(&mut self) -> bool {
        let has_others = self.models.len() > 1;
        self.models.truncate(1);
        has_others
    }

    fn make_room(&mut self, model: &ModelRef, vae: Option<&Path>) -> Result<()> {
        let Some(memory) = self.placement.memory() else {
            self.models.clear();
            return Ok(());
        };
        let wanted = models::weigh(model, vae, &self.placement)?;
        let sizes: Vec<u64> = self.models.iter().map(Model::device_bytes).collect();
        self.models.truncate(kept(&sizes, memory.free, wanted));
        Ok(())
    }
}

/// How many models of these sizes stay, the first ones, so that as much is free as is wanted.
fn kept(sizes: &[u64], free: u64, wanted: u64) -> usize {
    let mut free = free;
    for (i, size) in sizes.iter().enumerate().rev() {
        if free >= wanted {
            return i + 1;
        }
        free += size;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_as_many_models_go_as_must() {
        let sizes = [4, 2, 3];
        for (free, wanted, stay) in [(10, 5, 3), (5, 5, 3), (2, 5, 2), (1, 5, 1), (0, 5, 1), (0, 6, 0), (0, 99, 0)] {
            assert_eq!(kept(&sizes, free, wanted), stay, "{free} free, {wanted} wanted");
        }
        assert_eq!(kept(&[], 0, 1), 0);
    }

    #[test]
    fn the_processor_has_one_model_and_a_device_without_a_number_of_its_memory_too() {
        let mut loaded = Loaded::default();
        assert!(loaded.in_hand().is_err());
        for choice in [DeviceChoice::Cpu, DeviceChoice::Portable] {
            assert_eq!(loaded.use_device(choice).used, choice);
            let mut loads = 0;
            for _ in 0..2 {
                loaded.load(&ModelRef::Starter, None, &Cancel::default(), &mut || loads += 1).unwrap();
            }
            assert_eq!((loads, loaded.models.len(), loaded.drop_others()), (1, 1, false), "{choice}");
            let missing = ModelRef::Path("nowhere".into());
            assert!(loaded.load(&missing, None, &Cancel::default(), &mut || ()).is_err());
        }
    }
}
