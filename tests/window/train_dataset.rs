//! Train → Data set.

use atelier::studio::{Place, TrainTab};
use egui_kittest::kittest::Queryable;

use super::bench::Bench;

#[test]
fn the_place_has_its_tabs() {
    let mut bench = Bench::first_start();
    bench.go_to("Train");
    assert_eq!((bench.state().place, bench.state().train.tab), (Place::Train, TrainTab::Dataset));
    bench.go_to("Training");
    assert_eq!(bench.state().train.tab, TrainTab::Training);
    bench.harness.get_by_label("Nothing is being learnt");
    bench.go_to("Data set");
    assert_eq!(bench.state().train.tab, TrainTab::Dataset);
}
