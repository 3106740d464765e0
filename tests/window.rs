//! Drives the window by its labels, without a display, a thread or a clock: the test holds the far ends of both
//! channels and answers the dialogs.

mod window {
    mod adapters;
    mod batch;
    pub mod bench;
    mod canvas;
    pub mod create;
    mod device;
    mod gallery;
    mod gallery_many;
    mod grid;
    mod looks;
    mod models;
    mod palette;
    mod prompt;
    mod queue;
    mod shell;
    mod timeline;
    mod tour;
    mod train_dataset;
    mod training;
    mod viewer;
    mod whole;
}
