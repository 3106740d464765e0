//! Which renderer draws the window: wgpu on real graphics hardware, else OpenGL.

use std::sync::Arc;

use eframe::egui_wgpu::{WgpuConfiguration, WgpuSetup, WgpuSetupCreateNew};
use eframe::wgpu;
use eframe::{NativeOptions, Renderer};

use crate::domain::{Result, UserError};

use super::display::no_display;
use super::{App, Launch, TITLE};

/// The first size of the window, in logical px.
const FIRST_SIZE: [f32; 2] = [1280.0, 800.0];
/// The smallest size that the panels are made for.
const SMALLEST_SIZE: [f32; 2] = [900.0, 600.0];

/// Opens the window with wgpu, and where that fails with OpenGL. If both fail, tells why the first did.
///
/// # Errors
/// When neither renderer can open a window, or `make_app` fails.
pub fn run_with_fallback(launch: &Launch, make_app: impl Fn(&egui::Context) -> Result<App>) -> Result<()> {
    let attempt = |renderer| {
        let options = options(launch, renderer);
        eframe::run_native(TITLE, options, Box::new(|creation| Ok(Box::new(make_app(&creation.egui_ctx)?))))
    };
    if !may_have_hardware() {
        // Looking for some takes half of the time until the first frame.
        tracing::info!("no graphics hardware: drawing with OpenGL");
        return attempt(Renderer::Glow).map_err(|error| explain(&error));
    }
    let Err(first) = attempt(Renderer::Wgpu) else { return Ok(()) };
    if !is_graphics(&first) {
        return Err(explain(&first));
    }
    tracing::info!("wgpu has no hardware to draw with ({first}); trying OpenGL");
    attempt(Renderer::Glow).map_err(|second| {
        tracing::error!("OpenGL failed too: {second}");
        explain(&first)
    })
}

/// Whether there may be graphics hardware. On Linux a driver shows it as a device; elsewhere only asking tells.
fn may_have_hardware() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let is_there = |path: &str| std::path::Path::new(path).exists();
    let has_any = |path: &str| std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    // The kernel's own drivers, NVIDIA's, Windows' below WSL.
    has_any("/dev/dri") || is_there("/dev/nvidiactl") || is_there("/dev/dxg")
}

fn options(launch: &Launch, renderer: Renderer) -> NativeOptions {
    let place = launch.settings.window;
    let size =
        place.map_or(FIRST_SIZE, |place| [place.width.max(SMALLEST_SIZE[0]), place.height.max(SMALLEST_SIZE[1])]);
    let viewport = egui::ViewportBuilder::default()
        .with_title(TITLE)
        .with_app_id("atelier")
        .with_inner_size(size)
        .with_min_inner_size(SMALLEST_SIZE)
        .with_maximized(place.is_some_and(|place| place.maximized));
    NativeOptions {
        viewport,
        renderer,
        centered: place.is_none(),
        // The second attempt needs the event loop of the first.
        run_and_return: true,
        // The settings file remembers the window.
        persist_window: false,
        wgpu_options: WgpuConfiguration { wgpu_setup: hardware_only(), ..WgpuConfiguration::default() },
        ..NativeOptions::default()
    }
}

/// A setup that refuses software adapters: OpenGL's software renderer is several times faster than Vulkan's.
fn hardware_only() -> WgpuSetup {
    WgpuSetup::CreateNew(WgpuSetupCreateNew {
        native_adapter_selector: Some(Arc::new(|adapters, surface| {
            adapters
                .iter()
                .filter(|adapter| surface.is_none_or(|surface| adapter.is_surface_supported(surface)))
                .max_by_key(|adapter| rank(adapter.get_info().device_type))
                .filter(|adapter| rank(adapter.get_info().device_type) > 0)
                .cloned()
                .ok_or_else(|| "no graphics hardware".to_owned())
        })),
        ..WgpuSetupCreateNew::without_display_handle()
    })
}

/// Which kind of adapter is preferred; 0 is refused. A window full of greys needs no more than the built-in graphics,
/// but the models may run on the large card, and pictures are already there.
fn rank(device: wgpu::DeviceType) -> u8 {
    match device {
        wgpu::DeviceType::DiscreteGpu => 4,
        wgpu::DeviceType::IntegratedGpu => 3,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 1,
        wgpu::DeviceType::Cpu => 0,
    }
}

/// Whether another renderer may succeed.
fn is_graphics(error: &eframe::Error) -> bool {
    !matches!(error, eframe::Error::AppCreation(_) | eframe::Error::Winit(_) | eframe::Error::WinitEventLoop(_))
}

fn explain(error: &eframe::Error) -> UserError {
    match error {
        eframe::Error::AppCreation(inner) => match inner.downcast_ref::<UserError>() {
            Some(error) => error.clone(),
            None => UserError::failed(format!("The window could not be opened: {inner}")),
        },
        // A display is named, but nothing answers there.
        // The message begins with a place in winit's sources, which is of no use here.
        eframe::Error::WinitEventLoop(inner) => no_display(inner.to_string().rsplit(": ").next().unwrap_or_default()),
        other => UserError::failed(format!("The window could not be opened: {other}"))
            .hint("a graphics driver is missing; on Debian and Ubuntu: apt install libegl1 libgl1-mesa-dri"),
    }
}
