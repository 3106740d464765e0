//! Writing prompts: tokens, weights, names that are offered, undo, earlier prompts, styles.

use atelier::domain::prompt::{PromptAnswer, PromptQuery, PromptStyle, TokenCount, WildcardCard};
use atelier::domain::{ModelsEvent, Settings, Theme};
use atelier::library::{LibraryCommand, LibraryEvent, PromptsCommand, PromptsEvent, UsedPrompt};
use atelier::studio::{DialogAnswer, DialogRequest};
use egui::{Event, Key, Modifiers, Role};
use egui_kittest::SnapshotOptions;
use egui_kittest::kittest::Queryable;

use super::adapters;
use super::bench::{Bench, STARTER};

const SHIFTED: Modifiers = Modifiers { shift: true, ..Modifiers::COMMAND };

/// Types a text as it is, where the keyboard is.
fn type_text(bench: &mut Bench, text: &str) {
    bench.harness.event(Event::Text(text.to_owned()));
    bench.harness.run();
}

/// Writes a prompt in the place of the one that is there.
fn write(bench: &mut Bench, text: &str) {
    bench.prompt().focus();
    bench.harness.run();
    bench.press(Modifiers::COMMAND, Key::A);
    type_text(bench, text);
}

fn press(bench: &mut Bench, key: Key) {
    bench.press(Modifiers::NONE, key);
}

fn prompt_is(bench: &Bench, expected: &str) {
    assert_eq!(bench.draft().prompt, expected);
    assert_eq!(bench.prompt().value().as_deref(), Some(expected));
}

/// A window that knows the adapters of the bench, and two wildcards.
fn bench(settings: Settings) -> Bench {
    let mut bench = Bench::with(settings, [1280.0, 800.0]);
    let cards = adapters::cards();
    bench.models(ModelsEvent::Fitted { model: cards.model.clone(), cards: Ok(cards) });
    let card = |name: &str, texts| WildcardCard { name: name.to_owned(), texts };
    let cards = vec![card("colour", 12), card("fabric/warm", 7)];
    bench.models(ModelsEvent::Prompt(PromptAnswer::Wildcards(cards)));
    bench.harness.run();
    bench
}

/// Answers the count that is asked for.
fn count(bench: &mut Bench, prompt: &TokenCount) -> bool {
    let asked = bench.asked_about_prompt().into_iter().find_map(|query| match query {
        PromptQuery::Count(query) => Some(query),
        PromptQuery::Wildcards => None,
    });
    let Some(query) = asked else { return false };
    let negative = TokenCount { chunks: 1, per_chunk: 75, ..TokenCount::default() };
    let counts = Ok([prompt.clone(), negative]);
    bench.models(ModelsEvent::Prompt(PromptAnswer::Counted { query, counts }));
    bench.harness.run();
    true
}

#[test]
fn tokens_are_counted_beside_both_fields() {
    let mut bench = bench(Settings::default());
    let one = TokenCount { chunks: 1, last: 9, per_chunk: 75, ..TokenCount::default() };
    assert!(count(&mut bench, &one));
    assert!(bench.has("9 / 75") && bench.has("0 / 75"));
    assert!(!count(&mut bench, &one), "nothing is counted twice");
    write(&mut bench, "long");
    let more = TokenCount { chunks: 2, last: 12, per_chunk: 75, borders: vec![2], is_drawn: false };
    assert!(count(&mut bench, &more));
    assert!(bench.has("chunk 2: 12 / 75"));
}

#[test]
fn names_are_offered_and_taken_by_keys_and_by_a_click() {
    let mut bench = bench(Settings::default());
    write(&mut bench, "a cat <lora:in");
    assert!(bench.has("Write Ink wash") && !bench.has("Write Cut"));
    press(&mut bench, Key::Tab);
    prompt_is(&bench, "a cat <lora:Ink wash:1>");
    assert!(bench.prompt().is_focused());
    type_text(&mut bench, " in __");
    assert!(bench.has("Write colour") && bench.has("Write fabric/warm"));
    press(&mut bench, Key::ArrowDown);
    press(&mut bench, Key::Enter);
    prompt_is(&bench, "a cat <lora:Ink wash:1> in __fabric/warm__");
    type_text(&mut bench, " {x|__co");
    bench.harness.get_by_label("Write colour").click();
    bench.harness.run();
    prompt_is(&bench, "a cat <lora:Ink wash:1> in __fabric/warm__ {x|__colour__");
    type_text(&mut bench, "}");
    prompt_is(&bench, "a cat <lora:Ink wash:1> in __fabric/warm__ {x|__colour__}");
}

#[test]
fn the_list_of_names_leaves_esc_enter_and_generate_to_their_own() {
    let mut bench = bench(Settings::default());
    bench.press(Modifiers::COMMAND, Key::Enter);
    let running = bench.sent_job().expect("a job was sent");
    write(&mut bench, "__c");
    press(&mut bench, Key::Escape);
    assert!(!bench.has("Write colour") && bench.prompt().is_focused());
    assert!(!running.cancel.is_cancelled(), "Esc was about the list");
    press(&mut bench, Key::Escape);
    assert!(running.cancel.is_cancelled());

    // A word may be an embedding, or a word.
    write(&mut bench, "bad");
    assert!(bench.has("Write bad-hands"));
    press(&mut bench, Key::Enter);
    prompt_is(&bench, "bad\n");
    write(&mut bench, "(bad");
    press(&mut bench, Key::Tab);
    prompt_is(&bench, "(bad-hands");

    write(&mut bench, "__c");
    bench.press(Modifiers::COMMAND, Key::Enter);
    prompt_is(&bench, "__c");
    assert_eq!(bench.state().queue.waiting().len(), 1, "Ctrl+Enter generates all the same");
    // Without a list, Tab goes on to the next field.
    write(&mut bench, "cat");
    press(&mut bench, Key::Tab);
    assert!(!bench.prompt().is_focused());
    prompt_is(&bench, "cat");
}

#[test]
fn a_negative_prompt_is_offered_no_loras() {
    let mut bench = bench(Settings::default());
    let negative = |bench: &Bench| {
        bench.harness.get_by_role_and_label(Role::MultilineTextInput, "Negative prompt").focus();
    };
    negative(&bench);
    bench.harness.run();
    type_text(&mut bench, "<lora:");
    assert!(!bench.has("Write Ink wash"));
    bench.press(Modifiers::COMMAND, Key::A);
    type_text(&mut bench, "bad");
    press(&mut bench, Key::Tab);
    assert_eq!(bench.draft().negative_prompt, "bad-hands");
}

#[test]
fn ctrl_and_arrows_weigh_the_word_under_the_cursor() {
    let mut bench = bench(Settings::default());
    write(&mut bench, "a red dress");
    bench.press(Modifiers::COMMAND, Key::ArrowUp);
    prompt_is(&bench, "a red (dress:1.1)");
    bench.press(Modifiers::COMMAND, Key::ArrowUp);
    bench.press(SHIFTED, Key::ArrowUp);
    prompt_is(&bench, "a red (dress:1.25)");
    bench.press(SHIFTED, Key::ArrowDown);
    for _ in 0..2 {
        bench.press(Modifiers::COMMAND, Key::ArrowDown);
    }
    prompt_is(&bench, "a red dress");
    // What is weighed stays selected: typing replaces it.
    bench.press(Modifiers::COMMAND, Key::ArrowUp);
    type_text(&mut bench, "coat");
    prompt_is(&bench, "a red (coat:1.1)");
    write(&mut bench, "<lora:Ink wash:0.5>");
    press(&mut bench, Key::ArrowLeft);
    bench.press(Modifiers::COMMAND, Key::ArrowDown);
    prompt_is(&bench, "<lora:Ink wash:0.4>");
}

#[test]
fn undo_and_redo_are_of_the_whole_draft() {
    let mut bench = bench(Settings::default());
    write(&mut bench, "a");
    for letter in [" ", "c", "a", "t"] {
        bench.harness.event(Event::Text(letter.to_owned()));
        bench.harness.step();
    }
    bench.harness.run();
    bench.type_number("Steps", "31");
    bench.press(Modifiers::COMMAND, Key::Z);
    assert_eq!((bench.draft().num_inference_steps, bench.draft().prompt.as_str()), (STARTER.default_steps, "a cat"));
    bench.prompt().focus();
    bench.harness.run();
    bench.press(Modifiers::COMMAND, Key::Z);
    prompt_is(&bench, "a ");
    bench.press(SHIFTED, Key::Z);
    prompt_is(&bench, "a cat");
    // The cursor is where the change was.
    type_text(&mut bench, "s");
    prompt_is(&bench, "a cats");
    bench.press(Modifiers::COMMAND, Key::Z);
    bench.press(Modifiers::COMMAND, Key::Z);
    bench.press(Modifiers::COMMAND, Key::Y);
    prompt_is(&bench, "a cat");
    bench.press(Modifiers::COMMAND, Key::Y);
    prompt_is(&bench, "a cats");
    bench.press(Modifiers::COMMAND, Key::Y);
    prompt_is(&bench, "a cats");
}

fn used(prompt: &str) -> UsedPrompt {
    UsedPrompt { prompt: prompt.to_owned(), negative_prompt: "blurry".to_owned(), created_ms: 0 }
}

fn asked_of_prompts(bench: &Bench) -> Vec<PromptsCommand> {
    let command = |command| match command {
        LibraryCommand::Prompts(command) => Some(command),
        _ => None,
    };
    bench.library_commands.try_iter().filter_map(command).collect()
}

#[test]
fn earlier_prompts_are_searched_and_used() {
    let mut bench = bench(Settings::default());
    assert_eq!(asked_of_prompts(&bench), [PromptsCommand::LoadStyles]);
    bench.press(Modifiers::COMMAND, Key::H);
    assert_eq!(asked_of_prompts(&bench), [PromptsCommand::FindUsed(String::new())]);
    let found = vec![used("a blue raincoat"), used("a red dress")];
    bench.library(LibraryEvent::Prompts(PromptsEvent::Used { search: String::new(), found }));
    assert!(bench.has("Use: a blue raincoat") && bench.has("Use: a red dress"));
    type_text(&mut bench, "red");
    assert_eq!(asked_of_prompts(&bench), [PromptsCommand::FindUsed("red".to_owned())]);
    let found = vec![used("a red dress"), used("red boots")];
    bench.library(LibraryEvent::Prompts(PromptsEvent::Used { search: "red".to_owned(), found }));
    press(&mut bench, Key::ArrowDown);
    press(&mut bench, Key::Enter);
    prompt_is(&bench, "red boots");
    assert_eq!(bench.draft().negative_prompt, "blurry");
    assert!(bench.prompt().is_focused());

    bench.click("Earlier prompts…");
    bench.press(Modifiers::NONE, Key::Escape);
    assert!(!bench.has("Search earlier prompts"));
    prompt_is(&bench, "red boots");
}

fn styles() -> Vec<PromptStyle> {
    let style = |name: &str, prompt: &str, negative: &str| PromptStyle {
        name: name.to_owned(),
        prompt: prompt.to_owned(),
        negative_prompt: negative.to_owned(),
    };
    vec![
        style("Ink drawing", "{prompt}, ink on paper, fine lines", "colour, photo"),
        style("Studio photo", "studio photo of {prompt}, softbox, grey backdrop", ""),
    ]
}

fn with_styles(bench: &mut Bench) {
    bench.library(LibraryEvent::Prompts(PromptsEvent::Styles { styles: styles(), problem: None }));
}

#[test]
fn styles_are_worn_seen_and_made() {
    let mut bench = bench(Settings::default());
    with_styles(&mut bench);
    write(&mut bench, "a dress");
    bench.click("Styles");
    bench.harness.get_by_role_and_label(Role::CheckBox, "Ink drawing").click();
    bench.harness.run();
    press(&mut bench, Key::Escape);
    assert!(bench.has("Ink drawing"), "it is seen below the prompt");
    bench.press(Modifiers::COMMAND, Key::Enter);
    let job = bench.sent_job().expect("a job was sent");
    assert_eq!(job.request.prompt, "a dress, ink on paper, fine lines");
    assert_eq!(job.request.negative_prompt, "colour, photo");
    prompt_is(&bench, "a dress");
    bench.click("Take off Ink drawing");
    assert!(bench.state().prompt.styles.applied.is_empty());
    bench.press(Modifiers::COMMAND, Key::Z);
    assert_eq!(bench.state().prompt.styles.applied, ["Ink drawing"]);
}

#[test]
fn styles_are_written_and_imported() {
    let mut bench = bench(Settings::default());
    with_styles(&mut bench);
    let _ = asked_of_prompts(&bench);
    bench.click("Styles");
    bench.click("Keep as a style…");
    let prompt = bench.harness.get_by_role_and_label(Role::MultilineTextInput, "Style prompt");
    assert_eq!(prompt.value().as_deref(), Some(STARTER.example_prompt));
    assert!(bench.has("Give it a name"));
    bench.harness.get_by_role_and_label(Role::TextInput, "Name").focus();
    bench.harness.run();
    type_text(&mut bench, "Pullover");
    bench.click("Save");
    let saved = asked_of_prompts(&bench);
    let [PromptsCommand::SaveStyles(all)] = saved.as_slice() else { panic!("{saved:?}") };
    assert_eq!(
        all.iter().map(|style| style.name.as_str()).collect::<Vec<_>>(),
        ["Ink drawing", "Studio photo", "Pullover"]
    );
    bench.click("Delete");
    assert_eq!(asked_of_prompts(&bench), [PromptsCommand::SaveStyles(styles())]);

    bench.script.borrow_mut().answers.push(DialogAnswer::Chosen("/home/kim/styles.csv".into()));
    bench.click("Import…");
    assert!(matches!(bench.script.borrow().asked.last(), Some(DialogRequest::Styles)));
    bench.harness.run();
    assert_eq!(asked_of_prompts(&bench), [PromptsCommand::ImportStyles("/home/kim/styles.csv".into())]);
    bench.click("Close");
    assert!(!bench.has("Style prompt"));
}

#[test]
fn what_leads_nowhere_is_said_below_the_field() {
    let mut bench = bench(Settings::default());
    write(&mut bench, "a __fur__ (coat");
    assert!(bench.has("There is no wildcard `fur`, so it stays in the text"));
    write(&mut bench, "a (coat");
    let hint = "The `(` is not closed, so it reaches to the end";
    assert!(!bench.has(hint), "it may still be, while one types");
    bench.harness.get_by_role_and_label(Role::MultilineTextInput, "Negative prompt").focus();
    bench.harness.run();
    assert!(bench.has(hint));
}

const RICH: &str = "a (red:1.4) (knitted:1.1) pullover, [collar], ((large)) buttons BREAK [wool:linen:0.5] __colour__ \
                    {gold|__fur__} <lora:Ink wash:0.8> bad-hands, (soft light AND rain :0.6";

fn snapshot(bench: &mut Bench, name: &str) {
    let options = SnapshotOptions::new().threshold(1.2).max_failed_pixels(400);
    bench.harness.snapshot_options(name, &options);
}

/// The prompt's column alone: the rest is in other pictures.
fn column(theme: Theme) -> Bench {
    let settings = Settings { theme, styles: vec!["Ink drawing".to_owned()], ..Settings::default() };
    let mut bench = Bench::with(settings, [900.0, 600.0]);
    let cards = adapters::cards();
    bench.models(ModelsEvent::Fitted { model: cards.model.clone(), cards: Ok(cards) });
    let card = |name: &str, texts| WildcardCard { name: name.to_owned(), texts };
    bench.models(ModelsEvent::Prompt(PromptAnswer::Wildcards(vec![card("colour", 12), card("fabric/warm", 7)])));
    with_styles(&mut bench);
    write(&mut bench, RICH);
    let borders = vec![RICH.find("[wool").expect("it is there")];
    let tokens = TokenCount { chunks: 2, last: 31, per_chunk: 75, borders, is_drawn: true };
    // The one for the example comes first.
    while count(&mut bench, &tokens) {}
    bench
}

#[test]
fn a_rich_prompt_dark() {
    snapshot(&mut column(Theme::Dark), "prompt_dark");
}

#[test]
fn a_rich_prompt_light() {
    snapshot(&mut column(Theme::Light), "prompt_light");
}

fn with_names(theme: Theme) -> Bench {
    let mut bench = column(theme);
    write(&mut bench, "a coat <lora:");
    bench
}

#[test]
fn names_dark() {
    snapshot(&mut with_names(Theme::Dark), "prompt_names_dark");
}

#[test]
fn names_light() {
    snapshot(&mut with_names(Theme::Light), "prompt_names_light");
}

#[test]
fn the_dialog_of_earlier_prompts() {
    let mut bench = column(Theme::Dark);
    bench.press(Modifiers::COMMAND, Key::H);
    let found = vec![used(STARTER.example_prompt), used(RICH), used("a blue raincoat in the rain")];
    bench.library(LibraryEvent::Prompts(PromptsEvent::Used { search: String::new(), found }));
    snapshot(&mut bench, "prompt_history");
}

#[test]
fn the_dialog_of_styles() {
    let mut bench = column(Theme::Light);
    bench.click("Styles");
    bench.click("Edit styles…");
    snapshot(&mut bench, "prompt_styles");
}
