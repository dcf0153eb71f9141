//! The pages in a real browser: Chromium, driven through WebDriver. `tests/run` installs both.

mod audit;
mod axe;
pub mod chromium;
mod console;
mod console_explore;
mod console_forms;
mod console_numbers;
mod console_pages;
mod console_quota;
mod demo;
mod docs_page;
mod front;
mod gallery;
mod gateway_pages;
mod hostile;
mod keyboard;
mod readme;
mod sandbox_pages;
mod story;
