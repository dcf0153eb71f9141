//! The main job: a call comes in with a key, goes out signed, and its answer comes back.

mod forward;
