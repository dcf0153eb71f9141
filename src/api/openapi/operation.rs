//! One operation of the HTTP API, as the description and the page show it.

use serde_json::Value;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, HttpMethod, RefOr, Required, ResponseBuilder, Schema, path};

use crate::api::openapi::audience::Audience;
use crate::api::openapi::problems;
use crate::api::openapi::problems::Sample;
use crate::api::openapi::shape::Shape;

/// The extension of a response that holds its other representations, as `content` would.
const OTHER_CONTENT: &str = "x-other-content";

/// One path and method.
pub(crate) struct Operation {
    pub(crate) audience: Audience,
    pub(crate) method: HttpMethod,
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) about: &'static str,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) problems: Vec<Sample>,
}

/// A parameter in the path, the query or a header.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: ParameterIn,
    pub(crate) about: &'static str,
    pub(crate) schema: RefOr<Schema>,
    pub(crate) example: Value,
}

pub(crate) struct Body {
    pub(crate) content: Content,
    pub(crate) is_required: bool,
}

/// A representation: its media type, its schema, and an example.
pub(crate) struct Content {
    pub(crate) media: &'static str,
    pub(crate) schema: RefOr<Schema>,
    pub(crate) example: Value,
    /// The schema of each line.
    line: Option<RefOr<Schema>>,
    /// Those that the schemas refer to.
    pub(super) components: Vec<(String, RefOr<Schema>)>,
}

/// A successful response; or, with the status `default`, one that the gateway only passes on.
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) about: &'static str,
    /// The first is what clients get unless their `Accept` asks for another.
    pub(crate) contents: Vec<Content>,
    /// Components by name.
    pub(crate) headers: &'static [&'static str],
}

impl Operation {
    pub(crate) fn new(
        audience: Audience,
        method: HttpMethod,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Operation {
        Operation {
            audience,
            method,
            path,
            id,
            summary,
            about: "",
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: problems::of_everything(),
        }
    }

    pub(crate) fn about(self, about: &'static str) -> Operation {
        Operation { about, ..self }
    }

    pub(crate) fn takes(mut self, parameter: Parameter) -> Operation {
        self.parameters.push(parameter);
        self
    }

    pub(crate) fn reads(self, content: Content) -> Operation {
        Operation { body: Some(Body { content, is_required: true }), ..self }
    }

    /// An optional body.
    pub(crate) fn may_read(self, content: Content) -> Operation {
        Operation { body: Some(Body { content, is_required: false }), ..self }
    }

    pub(crate) fn answers(
        self,
        status: &'static str,
        about: &'static str,
        contents: Vec<Content>,
    ) -> Operation {
        self.answers_with(status, about, contents, &["RequestId"])
    }

    /// Answers in JSON.
    pub(crate) fn gives(
        self,
        status: &'static str,
        about: &'static str,
        schema: impl Into<Shape>,
        example: Value,
    ) -> Operation {
        self.answers(status, about, vec![Content::json(schema, example)])
    }

    pub(crate) fn answers_with(
        mut self,
        status: &'static str,
        about: &'static str,
        contents: Vec<Content>,
        headers: &'static [&'static str],
    ) -> Operation {
        self.answers.push(Answer { status, about, contents, headers });
        self
    }

    pub(crate) fn refuses(mut self, problems: Vec<Sample>) -> Operation {
        self.problems.extend(problems);
        self
    }

    pub(crate) fn written(&self) -> path::Operation {
        let schemes = self.audience.schemes().iter();
        let securities = schemes.map(|name| SecurityRequirement::new(*name, [""; 0]));
        let mut written = OperationBuilder::new()
            .tag(self.audience.tag())
            .operation_id(Some(self.id))
            .summary(Some(self.summary))
            .description(Some(self.about).filter(|about| !about.is_empty()))
            .securities(Some(securities))
            .request_body(self.body.as_ref().map(|body| {
                let required = if body.is_required { Required::True } else { Required::False };
                RequestBodyBuilder::new()
                    .required(Some(required))
                    .content(body.content.media, body.content.written())
                    .build()
            }));
        for parameter in &self.parameters {
            written = written.parameter(parameter.written());
        }
        let mut responses = problems::responses(&self.problems);
        if let Some(relayed) = self.answers.iter().find(|answer| answer.status == "default") {
            problems::also_as_x(&mut responses);
            // X may answer with each of these statuses as well.
            for own in responses.values_mut() {
                let either = relayed.written();
                own.description.push_str(" Or X's own response, passed on.");
                own.content.extend(either.content);
                own.headers.extend(either.headers);
            }
        }
        for answer in &self.answers {
            let mut response = answer.written();
            // A problem of the gateway's own may have the same status, as 503 of /readyz.
            if let Some(own) = responses.remove(answer.status) {
                response.description = format!("{} {}", response.description, own.description);
                response.content.extend(own.content);
                response.headers.extend(own.headers);
            }
            responses.insert(answer.status.to_owned(), response);
        }
        for (status, response) in responses {
            written = written.response(status, response);
        }
        written.build()
    }
}

impl Parameter {
    pub(crate) fn is_required(&self) -> bool {
        self.place == ParameterIn::Path
    }

    fn written(&self) -> ParameterBuilder {
        ParameterBuilder::new()
            .name(self.name)
            .parameter_in(self.place.clone())
            .required(if self.is_required() { Required::True } else { Required::False })
            .description(Some(self.about))
            .schema(Some(self.schema.clone()))
            .example(Some(self.example.clone()))
    }
}

impl Content {
    pub(crate) fn json(schema: impl Into<Shape>, example: Value) -> Content {
        Content::new("application/json", schema.into(), example)
    }

    fn new(media: &'static str, shape: Shape, example: Value) -> Content {
        let Shape { schema, components } = shape;
        Content { media, schema, example, line: None, components }
    }

    pub(crate) fn text(media: &'static str, schema: impl Into<Shape>, example: &str) -> Content {
        Content::new(media, schema.into(), example.into())
    }

    /// Adds the schema of each line.
    pub(crate) fn of_lines(self, line: Shape) -> Content {
        Content { line: Some(line.schema), components: line.components, ..self }
    }

    fn written(&self) -> utoipa::openapi::Content {
        let line = self.line.as_ref().map(|schema| {
            let schema = serde_json::to_value(schema).unwrap_or_default();
            Extensions::from_iter([("x-line-schema", schema)])
        });
        ContentBuilder::new()
            .schema(Some(self.schema.clone()))
            .example(Some(self.example.clone()))
            .extensions(line)
            .build()
    }
}

impl Answer {
    /// Only the first representation is `content`: generators make a union of several, and clients then have to take
    /// every JSON answer for a text that it might be.
    fn written(&self) -> utoipa::openapi::Response {
        let mut about = self.about.to_owned();
        let mut written = ResponseBuilder::new();
        let [first, others @ ..] = &*self.contents else {
            return written.description(about).build();
        };
        written = written.content(first.media, first.written());
        if !others.is_empty() {
            let names: Vec<String> =
                others.iter().map(|content| format!("`{}`", content.media)).collect();
            about = format!("{about} `Accept` may also ask for {}.", names.join(" or "));
            let written_out = |content: &Content| {
                let value = serde_json::to_value(content.written());
                (content.media.to_owned(), value.unwrap_or_default())
            };
            let others = Value::Object(others.iter().map(written_out).collect());
            written = written.extensions(Some(Extensions::from_iter([(OTHER_CONTENT, others)])));
        }
        for (name, header) in problems::headers(self.headers) {
            written = written.header_ref(name, header);
        }
        written.description(about).build()
    }
}
