//! `LoRA`s and embeddings in Create: how they fit, and switches and sliders that edit the prompt.

use atelier::domain::{
    AdapterCard, AdapterCards, EmbeddingFit, LoraFit, ModelRef, ModelsCommand, ModelsEvent, UserError,
};
use egui::Role;
use egui_kittest::kittest::{NodeT, Queryable};

use super::bench::Bench;

/// One that fits, one of another family, one that is broken, and two embeddings.
pub fn cards() -> AdapterCards {
    let card = |name: &str, fit| AdapterCard::new(format!("/home/kim/loras/{name}.safetensors").as_ref(), fit);
    let ink = LoraFit {
        keys: 264,
        keys_matched: 256,
        parts: vec![("UNet".to_owned(), 192, 192), ("text encoder".to_owned(), 64, 72)],
        made_for: Some("Stable Diffusion 1".to_owned()),
        form: Some("kohya, rank 8".to_owned()),
        ignored: 4,
        first_ignored: vec!["lora_te_text_model_encoder_layers_12_mlp_fc1: the model has no such layer".to_owned()],
        notes: Vec::new(),
        refusal: None,
    };
    let other = "This LoRA was made for Stable Diffusion XL, and the model is Stable Diffusion 1";
    let refusal = UserError::input(other).hint("choose a model of the family Stable Diffusion XL, or another LoRA");
    let large = LoraFit {
        keys: 2166,
        made_for: Some("Stable Diffusion XL".to_owned()),
        refusal: Some(refusal),
        ..LoraFit::default()
    };
    let word = |name: &str, fit| AdapterCard::new(format!("/home/kim/embeddings/{name}.pt").as_ref(), Ok(fit));
    AdapterCards {
        model: ModelRef::Starter,
        loras: vec![
            card("Cut", Err(UserError::input("The file ends too early"))),
            card("Ink wash", Ok(ink)),
            card("Large style", Ok(large)),
        ],
        embeddings: vec![
            word("bad-hands", EmbeddingFit { vectors: 8, widths: vec![768], refusal: None }),
            word(
                "xl-word",
                EmbeddingFit {
                    vectors: 1,
                    widths: vec![768, 1280],
                    refusal: Some(UserError::input("Its vectors are 768 long; this model reads 384")),
                },
            ),
        ],
    }
}

/// Opens what stands behind a line.
pub fn disclose(bench: &mut Bench, label: &str) {
    bench.harness.get_by_role_and_label(Role::DisclosureTriangle, label).click();
    // It slides open.
    bench.harness.run_steps(16);
}

/// A window that was told of `cards`, with their list open.
pub fn open(cards: AdapterCards) -> Bench {
    let mut bench = Bench::first_start();
    assert!(bench.asked_of_models().contains(&ModelsCommand::Fit(ModelRef::Starter)));
    bench.models(ModelsEvent::Fitted { model: ModelRef::Starter, cards: Ok(cards) });
    disclose(&mut bench, "LoRAs and embeddings");
    bench
}

fn prompt_is(bench: &Bench, end: &str) {
    let prompt = &bench.draft().prompt;
    assert_eq!(prompt, &format!("{}{end}", super::bench::STARTER.example_prompt));
    assert_eq!(bench.prompt().value().as_deref(), Some(prompt.as_str()));
}

#[test]
fn a_lora_is_switched_on_weighed_and_taken_off_in_the_prompt() {
    let mut bench = open(cards());
    let switch = |bench: &mut Bench| {
        bench.harness.get_by_role_and_label(Role::CheckBox, "Ink wash").click();
        bench.harness.run();
    };
    switch(&mut bench);
    prompt_is(&bench, " <lora:Ink wash:1>");
    assert!(bench.has("LoRAs and embeddings: 1 in use"));
    bench.type_number("Weight of Ink wash", "0.7");
    prompt_is(&bench, " <lora:Ink wash:0.7>");

    // The two weights stand behind the report, and in view once they differ.
    assert!(bench.harness.query_by_role_and_label(Role::SpinButton, "UNet of Ink wash").is_none());
    disclose(&mut bench, "256 of 264 keys · Stable Diffusion 1");
    bench.type_number("UNet of Ink wash", "0.2");
    prompt_is(&bench, " <lora:Ink wash:0.7:0.2>");
    assert!(bench.harness.query_by_role_and_label(Role::SpinButton, "Weight of Ink wash").is_none());
    for told in [
        "UNet: 192 of 192 keys",
        "text encoder: 64 of 72 keys",
        "Names of kohya, rank 8",
        "Not used: lora_te_text_model_encoder_layers_12_mlp_fc1: the model has no such layer",
        "and 3 more that are not used",
    ] {
        assert!(bench.has(told), "{told}");
    }
    switch(&mut bench);
    prompt_is(&bench, "");

    // What is typed is what the switches show.
    bench.prompt().focus();
    bench.harness.run();
    bench.press(egui::Modifiers::COMMAND, egui::Key::A);
    bench.prompt().type_text("<lora:ink WASH:0.3> <lora:gone>");
    bench.harness.run();
    let weight = bench.harness.get_by_role_and_label(Role::SpinButton, "Weight of Ink wash");
    assert_eq!(weight.accesskit_node().numeric_value(), Some(0.3));
    assert!(bench.has("There is no LoRA called gone"));
}

#[test]
fn what_does_not_fit_says_why_and_cannot_be_switched_on() {
    let bench = open(cards());
    for (name, why) in [
        ("Large style", "This LoRA was made for Stable Diffusion XL, and the model is Stable Diffusion 1"),
        ("Cut", "The file ends too early"),
    ] {
        let switch = bench.harness.get_by_role_and_label(Role::CheckBox, name);
        assert!(switch.accesskit_node().is_disabled(), "{name}");
        assert!(bench.has(why), "{why}");
    }
    assert!(bench.has("Its vectors are 768 long; this model reads 384"));
}

#[test]
fn an_embeddings_word_goes_into_either_prompt() {
    let mut bench = open(cards());
    assert!(bench.has("Embedding, 8 vectors of width 768"));
    for (place, in_prompt, in_negative) in [
        ("prompt", ", bad-hands", ""),
        ("negative prompt", ", bad-hands", "bad-hands"),
        ("prompt", "", "bad-hands"),
        ("negative prompt", "", ""),
    ] {
        bench.harness.get_by_label(&format!("bad-hands in the {place}")).click();
        bench.harness.run();
        prompt_is(&bench, in_prompt);
        assert_eq!(bench.draft().negative_prompt, in_negative);
    }
}

#[test]
fn many_are_searched_and_none_says_where_they_go() {
    let mut many = cards();
    many.loras.extend(
        (0..9).map(|i| {
            AdapterCard::new(format!("/home/kim/loras/style {i}.safetensors").as_ref(), Ok(LoraFit::default()))
        }),
    );
    let mut bench = open(many);
    bench.harness.get_by_role_and_label(Role::TextInput, "Search LoRAs and embeddings").focus();
    bench.harness.run();
    bench.harness.event(egui::Event::Text("STYLE 7".to_owned()));
    bench.harness.run();
    let is_shown = |bench: &Bench, name: &str| bench.harness.query_by_role_and_label(Role::CheckBox, name).is_some();
    assert!(is_shown(&bench, "style 7") && !is_shown(&bench, "style 6") && !is_shown(&bench, "Ink wash"));

    let none = AdapterCards { model: ModelRef::Starter, loras: Vec::new(), embeddings: Vec::new() };
    let mut bench = open(none);
    assert!(bench.has("None yet. LoRAs go into /home/kim/atelier/loras"));
    bench.click("Look again");
    assert_eq!(bench.asked_of_models(), [ModelsCommand::Fit(ModelRef::Starter)]);
}
