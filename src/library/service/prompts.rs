//! Used prompts and styles: the prompts' part of the library's thread.

use super::super::messages::LibraryEvent;
use super::super::prompts::{PromptsCommand, PromptsEvent};
use super::super::styles;
use super::{Service, guarded};

impl Service<'_> {
    pub(super) fn answer_prompts(&mut self, command: PromptsCommand) {
        let file = self.paths.styles_file.clone();
        let event = match command {
            PromptsCommand::FindUsed(search) => match self.with_index(|index| index.used_prompts(&search)) {
                Ok(found) => PromptsEvent::Used { search, found },
                Err(error) => PromptsEvent::Failed(error),
            },
            PromptsCommand::LoadStyles => {
                let styles::LoadedStyles { styles, problem } = styles::load(&file);
                PromptsEvent::Styles { styles, problem }
            }
            PromptsCommand::SaveStyles(all) => match guarded(&file, || styles::save(&file, &all)) {
                Ok(()) => return,
                Err(error) => PromptsEvent::Failed(error),
            },
            PromptsCommand::ImportStyles(from) => match guarded(&from, || styles::import(&from)) {
                Ok((styles, skipped)) => PromptsEvent::Imported { styles, skipped },
                Err(error) => PromptsEvent::Failed(error),
            },
        };
        self.outbox.send(LibraryEvent::Prompts(event));
    }
}
