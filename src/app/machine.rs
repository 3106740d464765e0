//! Looks up what the machine has: memory now and then, threads once.

use std::time::{Duration, Instant};

use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};

use crate::studio::{Machine, Memory};

/// How often memory is looked at. A look takes some ten microseconds.
const EVERY: Duration = Duration::from_millis(500);

/// Looks at the machine. Nothing is looked at while no frame is drawn.
pub struct Lookout {
    system: Option<System>,
    own: Option<Pid>,
    machine: Machine,
    looked: Option<Instant>,
}

impl Lookout {
    /// `threads` compute, of which the machine has as many as it has.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let whole = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let machine = Machine { threads: whole(threads), cores: whole(cores), memory: None };
        let system = System::new_with_specifics(RefreshKind::nothing())
            .inspect_err(|error| tracing::info!("the system does not tell of its memory: {error}"))
            .ok();
        Self { system, own: sysinfo::get_current_pid().ok(), machine, looked: None }
    }

    /// The machine as it was half a second ago at most.
    pub fn look(&mut self) -> Machine {
        if self.looked.is_none_or(|looked| looked.elapsed() >= EVERY) {
            self.looked = Some(Instant::now());
            self.machine.memory = self.memory();
        }
        self.machine
    }

    fn memory(&mut self) -> Option<Memory> {
        let (own, system) = (self.own?, self.system.as_mut()?);
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let only_memory = ProcessRefreshKind::nothing().with_memory().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, only_memory);
        let own_bytes = system.process(own)?.memory();
        let (mut total_bytes, mut free_bytes) = (system.total_memory(), system.available_memory());
        // A container may have less than the machine. What it keeps of files is given back when it is needed.
        if let Some(limits) = system.cgroup_limits() {
            total_bytes = total_bytes.min(limits.total_memory);
            free_bytes = free_bytes.min(limits.total_memory.saturating_sub(limits.rss));
        }
        free_bytes = free_bytes.min(total_bytes);
        (total_bytes > 0).then_some(Memory { total_bytes, free_bytes, own_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_found_in_this_machine() {
        let mut lookout = Lookout::new(1);
        let machine = lookout.look();
        assert!(machine.cores >= 1 && machine.threads == 1);
        let memory = machine.memory.expect("the systems that are tested tell");
        assert!(memory.own_bytes > 1_000_000, "a test program takes some MB: {memory:?}");
        assert!(memory.own_bytes < memory.total_bytes && memory.free_bytes <= memory.total_bytes, "{memory:?}");
        assert_eq!(lookout.look(), machine, "not looked at again at once");
    }
}
