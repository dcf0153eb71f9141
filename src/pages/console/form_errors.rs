//! The mistakes in a form that was sent, shown beside its fields.

/// Each mistake with the name of its field, which is empty for the whole form.
#[derive(Default)]
pub struct FieldErrors(pub Vec<(String, String)>);

impl FieldErrors {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All mistakes in one field, in a sentence.
    pub fn of(&self, field: &str) -> Option<String> {
        let messages = self.0.iter().filter(|error| error.0 == field).map(|error| &*error.1);
        Some(messages.collect::<Vec<_>>().join("; ")).filter(|text| !text.is_empty())
    }
}
