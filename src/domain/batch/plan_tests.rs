//! What rows mean: fields, templates, seeds, and everything that can be wrong with them.

use std::path::Path;

use super::super::TableRow;
use super::super::table::Form;
use super::*;
use crate::domain::{FamilyId, SamplerId, ScheduleId};

static FAMILY: Capabilities = Capabilities {
    family: FamilyId::Starter,
    label: "Starter",
    size_multiple_px: 8,
    min_side_px: 64,
    max_side_px: 192,
    native_side_px: 128,
    aspect_presets: &[],
    default_steps: 20,
    default_guidance: 4.0,
    default_sampler: SamplerId::DpmPp2m,
    default_schedule: ScheduleId::Automatic,
    example_prompt: "",
    needs_mask: false,
};

fn table(columns: &[&str], rows: &[&[&str]]) -> Arc<Table> {
    let row = |(place, values): (usize, &&[&str])| TableRow {
        line: place as u64 + 2,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        ..TableRow::default()
    };
    Arc::new(Table {
        path: "/tables/list.csv".into(),
        form: Form::Csv(','),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        rows: rows.iter().enumerate().map(row).collect(),
        repairs: Vec::new(),
    })
}

fn setup(template: &str) -> Setup {
    Setup {
        template: template.to_owned(),
        base: GenerateRequest { negative_prompt: "blurry".to_owned(), count: 9, ..GenerateRequest::default() },
        seed: 7,
        families: vec![(ModelRef::Starter, &FAMILY)],
        models: Vec::new(),
        loras: Vec::new(),
    }
}

fn plan(template: &str, columns: &[&str], rows: &[&[&str]]) -> Result<Plan> {
    Plan::new(table(columns, rows), Arc::new(setup(template)))
}

#[test]
fn columns_are_fields_and_fill_the_template() {
    let columns = ["colour", "W", "steps", "cfg", "seed", "n", "negative", "sampler"];
    let rows: [&[&str]; 3] = [
        &["red", "64", "12", "3.5", "5", "2", "grey", "Euler a"],
        &["blue", "", "", "", "", "", "", ""],
        &["green", "72", "20.0", "2,5", "-1"],
    ];
    let plan = plan("a {colour} dress", &columns, &rows).unwrap();
    let base = GenerateRequest { negative_prompt: "blurry".to_owned(), ..GenerateRequest::default() };
    let first = GenerateRequest {
        prompt: "a red dress".to_owned(),
        negative_prompt: "grey".to_owned(),
        width_px: 64,
        num_inference_steps: 12,
        guidance_scale: 3.5,
        sampler: SamplerId::EulerA,
        seed: 5,
        count: 2,
        ..base.clone()
    };
    assert_eq!(plan.request(0), Ok(first));
    let second = GenerateRequest { prompt: "a blue dress".to_owned(), seed: draw_seed(7, 1), ..base };
    assert_eq!(plan.request(1), Ok(second), "one picture, whatever the count of the setup is");
    let third = plan.request(2).unwrap();
    assert_eq!((third.num_inference_steps, third.guidance_scale, third.seed), (20, 2.5, draw_seed(7, 2)));
    assert_ne!(draw_seed(7, 1), draw_seed(7, 2));
    assert!(plan.request(3).is_err());
}

#[test]
fn everything_wrong_with_a_row_is_told_at_once() {
    let columns = ["prompt", "width", "steps", "seed", "model", "mask", "sampler", "cfg"];
    let rows: [&[&str]; 2] =
        [&["", "65", "many", "1.5", "../x", "m.png", "magic", "NaN"], &["x", "99999999999", "0", "", "", "", "", ""]];
    let plan = plan("", &columns, &rows).unwrap();
    let problem = plan.request(0).unwrap_err();
    for part in [
        "model \"../x\" leads out",
        "steps is \"many\"",
        "seed is \"1.5\"",
        "sampler is not known",
        "guidance is \"NaN\"",
        "prompt is empty",
        "mask: there is no picture",
    ] {
        assert!(problem.contains(part), "{part}: {problem}");
    }
    let problem = plan.request(1).unwrap_err();
    assert!(problem.contains("width is \"99999999999\"") && problem.contains("steps must be from 1"), "{problem}");
}

#[test]
fn a_table_that_means_nothing_is_an_error() {
    let error = plan("", &["colour"], &[]).unwrap_err();
    assert!(error.sentence.contains("no column \"prompt\"") && error.hint.unwrap().contains("{colour}"));
    let error = plan("{color}", &["colour"], &[]).unwrap_err();
    assert!(error.hint.unwrap().contains("{colour}"));
    let error = plan("", &["prompt", "w", "Width"], &[]).unwrap_err();
    assert_eq!(error.sentence, "The columns w and Width both give the width");
    assert_eq!(error.path.as_deref(), Some(Path::new("/tables/list.csv")));
}

#[test]
fn a_row_of_another_model_begins_with_what_that_is_best_asked_for() {
    static OTHER: Capabilities = Capabilities { native_side_px: 64, default_steps: 4, ..FAMILY };
    let other = ModelRef::Path("/tables/sub/other".into());
    let mut setup = setup("");
    setup.base.num_inference_steps = 33;
    setup.families.push((other.clone(), &OTHER));
    let table = table(&["prompt", "height", "model"], &[&["x", "72", "sub/other"], &["x", "", ""]]);
    let plan = Plan::new(table, Arc::new(setup)).unwrap();
    let request = plan.request(0).unwrap();
    assert_eq!((request.model, request.width_px, request.height_px, request.num_inference_steps), (other, 64, 72, 4));
    assert_eq!(plan.request(1).unwrap().num_inference_steps, 33);
}

#[test]
fn pictures_to_begin_with_and_second_passes_are_put_together() {
    let columns = ["prompt", "init", "mask", "strength", "hires", "hires_strength", "upscale"];
    let rows: [&[&str]; 4] = [
        &["x", "a/b.png", "m.png"],
        &["x", "a.png", "", "0.25", "1.5", "0.5"],
        &["x", "a.png", "", "", "", "", "2"],
        &["x", "", "", "0.25", "", "0.5"],
    ];
    let plan = plan("", &columns, &rows).unwrap();
    let init = plan.request(0).unwrap().init.unwrap();
    assert_eq!((init.picture, init.strength), ("/tables/a/b.png".into(), 1.0));
    assert_eq!(init.mask, Some("/tables/m.png".into()));
    let request = plan.request(1).unwrap();
    assert_eq!((request.init.unwrap().strength, request.hires.unwrap().strength), (0.25, 0.5));
    assert_eq!(plan.request(2).unwrap().init.unwrap().strength, 0.3);
    assert_eq!(plan.request(3).unwrap().init, None, "a strength without a picture says nothing");
}

#[test]
fn keys_tell_requests_apart() {
    let one = GenerateRequest::default();
    let other = GenerateRequest { seed: 1, ..one.clone() };
    assert_eq!(request_key(&one), request_key(&one.clone()));
    assert_ne!(request_key(&one), request_key(&other));
    assert_eq!(request_key(&one).len(), 16);
}
