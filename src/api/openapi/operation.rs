//! One thing that can be asked of a gateway, as the description and the page tell of it.

use serde_json::Value;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    ContentBuilder, HttpMethod, RefOr, Required, ResponseBuilder, Schema, ServerBuilder, path,
};

use crate::api::openapi::problems;
use crate::api::openapi::problems::Sample;

/// Who asks, and with what.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Audience {
    /// Services, with a key, on their listener.
    Callers,
    /// Operators, with an admin key, on theirs.
    Operators,
    /// Whoever watches or reads, on both, with nothing.
    Anybody,
    /// The same on the operators' listener alone.
    Watchers,
}

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

/// What stands in the path, the query or a header.
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

/// What a body holds, and one that is.
pub(crate) struct Content {
    pub(crate) media: &'static str,
    pub(crate) schema: RefOr<Schema>,
    pub(crate) example: Value,
}

/// A good answer, or with a status of `default` one that the gateway only passes on.
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) about: &'static str,
    pub(crate) contents: Vec<Content>,
    /// Components by name.
    pub(crate) headers: &'static [&'static str],
}

impl Audience {
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Audience::Callers => "callers",
            Audience::Operators => "operators",
            Audience::Anybody | Audience::Watchers => "probes",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Audience::Callers => "They send a key (`csk_…`) to the listener `server.listen`.",
            Audience::Operators => {
                "They send an admin key (`csa_…`) to the listener `admin.listen`."
            }
            Audience::Anybody | Audience::Watchers => {
                "No key is asked for. All but `/metrics` are on both listeners."
            }
        }
    }

    /// Where the listeners are unless the settings say otherwise.
    pub(crate) const fn servers(self) -> &'static [&'static str] {
        match self {
            Audience::Callers => &["http://127.0.0.1:8080"],
            Audience::Operators | Audience::Watchers => &["http://127.0.0.1:8081"],
            Audience::Anybody => &["http://127.0.0.1:8080", "http://127.0.0.1:8081"],
        }
    }

    /// Either of these opens the door.
    pub(crate) const fn schemes(self) -> &'static [&'static str] {
        match self {
            Audience::Callers => &["caller_key", "caller_key_header"],
            Audience::Operators => &["admin_key", "admin_key_header"],
            Audience::Anybody | Audience::Watchers => &[],
        }
    }
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

    /// A body that may be left out.
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

    /// An answer in JSON.
    pub(crate) fn gives(
        self,
        status: &'static str,
        about: &'static str,
        schema: impl Into<RefOr<Schema>>,
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
        let servers =
            self.audience.servers().iter().map(|it| ServerBuilder::new().url(*it).build());
        let schemes = self.audience.schemes().iter();
        let securities = schemes.map(|it| SecurityRequirement::new(*it, [""; 0]));
        let mut written = OperationBuilder::new()
            .tag(self.audience.tag())
            .operation_id(Some(self.id))
            .summary(Some(self.summary))
            .description(Some(self.about).filter(|it| !it.is_empty()))
            .servers(Some(servers))
            .securities(Some(securities))
            .request_body(self.body.as_ref().map(|it| {
                let required = if it.is_required { Required::True } else { Required::False };
                let body = RequestBodyBuilder::new().required(Some(required));
                body.content(it.content.media, it.content.written()).build()
            }));
        for it in &self.parameters {
            written = written.parameter(it.written());
        }
        let mut responses = problems::responses(&self.problems);
        if let Some(relayed) = self.answers.iter().find(|it| it.status == "default") {
            problems::also_as_x(&mut responses);
            // The upstream may answer with each of these statuses, too.
            for own in responses.values_mut() {
                let either = relayed.written();
                own.description.push_str(" Or X's own answer.");
                own.content.extend(either.content);
                own.headers.extend(either.headers);
            }
        }
        for it in &self.answers {
            let mut answer = it.written();
            // Where the gateway's own answer has the same status as that one.
            if let Some(own) = responses.remove(it.status) {
                answer.description = format!("{} {}", answer.description, own.description);
                answer.content.extend(own.content);
                answer.headers.extend(own.headers);
            }
            responses.insert(it.status.to_owned(), answer);
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
    pub(crate) fn json(schema: impl Into<RefOr<Schema>>, example: Value) -> Content {
        Content { media: "application/json", schema: schema.into(), example }
    }

    pub(crate) fn text(
        media: &'static str,
        schema: impl Into<RefOr<Schema>>,
        example: &str,
    ) -> Content {
        Content { media, schema: schema.into(), example: example.into() }
    }

    fn written(&self) -> utoipa::openapi::Content {
        let example = Some(self.example.clone());
        ContentBuilder::new().schema(Some(self.schema.clone())).example(example).build()
    }
}

impl Answer {
    fn written(&self) -> utoipa::openapi::Response {
        let mut written = ResponseBuilder::new().description(self.about);
        for it in &self.contents {
            written = written.content(it.media, it.written());
        }
        for (name, header) in problems::headers(self.headers) {
            written = written.header_ref(name, header);
        }
        written.build()
    }
}
