//! A field for a path, shown where the system has no file dialog.

use egui::{Context, Id, Key, Modal, RichText, TextEdit, Ui, vec2};

use crate::studio::{Action, DatasetDialog, DialogRequest, PathPrompt, State};

use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, hint_ui};

/// The field, if a path is asked for.
pub fn path_prompt_ui(ctx: &Context, state: &State, actions: &mut Vec<Action>) {
    let Some(prompt) = &state.path_prompt else { return };
    let modal = Modal::new(Id::unique("path prompt")).show(ctx, |ui| {
        ui.set_width(480.0);
        content_ui(ui, prompt, actions);
    });
    if modal.should_close() {
        actions.push(Action::DropPath);
    }
}

fn content_ui(ui: &mut Ui, prompt: &PathPrompt, actions: &mut Vec<Action>) {
    let p = palette(ui);
    let title = match &prompt.request {
        DialogRequest::ModelFolder => "Folder of the model",
        DialogRequest::ModelFile => "File of the model",
        DialogRequest::ModelsFolder => "Folder with models",
        DialogRequest::BatchTable => "Table of the batch",
        DialogRequest::Init => "Picture to begin with",
        DialogRequest::Mask => "Mask",
        DialogRequest::Vae => "File of the VAE",
        DialogRequest::Styles => "File of the styles",
        DialogRequest::TrainingSettings => "File with settings of a training",
        DialogRequest::SaveTrainingSettings => "Save the training's settings as",
        DialogRequest::TrainingFolder => "Folder of the training",
        DialogRequest::TrainingDataset => "Folder with pictures and captions",
        DialogRequest::Dataset(DatasetDialog::Folder) => "Folder of the data set",
        DialogRequest::Dataset(DatasetDialog::Table) => "Table of the data set",
        DialogRequest::Dataset(DatasetDialog::Target) => "Folder for the prepared data set",
        DialogRequest::PicturesFolder => "Folder for new pictures",
        DialogRequest::ImportFolder => "Folder with pictures to import",
        DialogRequest::CopyOut(_) => "Folder for the copies",
        DialogRequest::Zip(_) => "Zip file",
        DialogRequest::SavePicture { .. } => "Save the picture as",
    };
    let name = ui.label(RichText::new(title).text_style(theme::title()).color(p.text));
    hint_ui(
        ui,
        "This system has no file dialog that could be opened (zenity or a desktop portal). Type the path instead.",
    );
    let mut text = prompt.text.clone();
    let field = TextEdit::singleline(&mut text).id(Id::unique("path")).desired_width(f32::INFINITY);
    let response = ui.add(field).labelled_by(name.id);
    if response.changed() {
        actions.push(Action::EditPath(text));
    }
    let entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    if entered {
        actions.push(Action::AcceptPath);
    } else if !response.has_focus() && ui.memory(|memory| memory.focused().is_none()) {
        response.request_focus();
    }
    ui.add_space(2.0 * theme::UNIT);
    ui.horizontal(|ui| {
        action_button_ui(ui, &Action::AcceptPath, Emphasis::Primary, vec2(96.0, theme::CONTROL_HEIGHT), actions);
        action_button_ui(ui, &Action::DropPath, Emphasis::Normal, vec2(96.0, theme::CONTROL_HEIGHT), actions);
    });
}
