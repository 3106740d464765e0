//! What computes: the choice in the settings, and what the engine says of it.

use atelier::domain::{Command, DeviceChoice, DeviceUse, Event, ModelRef};
use egui::Role;
use egui_kittest::kittest::Queryable;

use super::bench::Bench;

fn used(asked: DeviceChoice, used: DeviceChoice, name: Option<&str>, reason: Option<&str>) -> Event {
    Event::DeviceOpened(DeviceUse {
        asked,
        used,
        name: name.map(str::to_owned),
        memory_bytes: None,
        reason: reason.map(str::to_owned),
    })
}

#[test]
fn what_is_chosen_is_opened_loaded_there_and_remembered() {
    let mut bench = Bench::first_start();
    bench.go_to("Settings");
    bench.commands.try_iter().for_each(drop);
    let label = DeviceChoice::Cpu.label();
    bench.harness.get_by_role_and_label(Role::RadioButton, label).scroll_to_me();
    bench.harness.run();
    bench.harness.get_by_role_and_label(Role::RadioButton, label).click();
    bench.harness.run();
    let commands: Vec<Command> = bench.commands.try_iter().collect();
    assert!(
        matches!(commands.as_slice(), [Command::UseDevice(DeviceChoice::Cpu), Command::Preload(ModelRef::Starter)]),
        "{commands:?}"
    );
    assert_eq!(bench.state().settings().device, DeviceChoice::Cpu);
    bench.engine(used(DeviceChoice::Cpu, DeviceChoice::Cpu, None, None));
    bench.harness.get_by_label("Using the CPU");
}

#[test]
fn a_card_that_is_not_there_is_told_and_a_card_that_is_stands_beside_the_work() {
    let mut bench = Bench::first_start();
    // Nobody asked for a card: that there is none is said in the settings only.
    bench.engine(used(DeviceChoice::Auto, DeviceChoice::Cpu, None, Some("no CUDA device")));
    assert!(bench.harness.query_by_label("No CUDA device: using the CPU").is_none());
    bench.engine(used(DeviceChoice::Cuda(0), DeviceChoice::Cpu, None, Some("no CUDA device")));
    assert!(bench.harness.query_all_by_label("No CUDA device: using the CPU").count() >= 1);
    bench.engine(used(DeviceChoice::Auto, DeviceChoice::Cuda(0), Some("NVIDIA L4"), None));
    bench.harness.get_by_label("Using cuda:0, NVIDIA L4");
}
