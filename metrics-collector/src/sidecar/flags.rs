//! The command line of Katib's metrics collectors, as Go's `flag` package reads it: `-name value`,
//! `-name=value`, with one or two hyphens.

use std::time::Duration;

use diwan_api::{
    CollectorKind, Comparison, EarlyStoppingRule, MetricsCollectorSpec, ObjectiveType,
    metadata::{DEFAULT_LOG_PATH, DEFAULT_TFEVENT_PATH},
    metrics_collector::{CollectorPlan, CollectorSpec, FileSystemPath, FilterSpec, SourceSpec},
};

/// The flags with their meaning, for people.
pub const USAGE: &str = "\
  -t NAME            the trial
  -m NAMES           the objective metric, then others, with `;` between
  -o-type TYPE       minimize or maximize
  -s-db HOST:PORT    the DB manager
  -s-earlystop H:P   the early stopping service
  -path PATH         the file, or the folder of event files
  -format FORMAT     TEXT or JSON; without it, PATH is a folder of event files
  -f FILTERS         regular expressions with two groups, with `;` between
  -stop-rule RULE    `name;value;comparison;start step`; may be repeated
  -p DURATION        how often the trial's processes are looked for (1s)
  -timeout DURATION  when to give up waiting for them; 0 is never (0)
  -w true|false      wait for all processes of the pod, not for the main one alone (true)
  -namespace NAME    the trial's namespace
  -marks DIR         where the trial's container leaves word, and this one notes how far it came
                     (the folder of PATH)
  -plan JSON         all about the trial, as in the annotation diwan.dev/metrics-collector of its
                     pod; takes the place of -t, -m, -o-type, -format, -f, -stop-rule, -namespace
  -wrapped           the trial runs in `diwan-entrypoint wrap`, which leaves word in the folder of
                     -marks; without it, the containers of the pod share their processes, and a shell leaves Katib's
                     marks";

/// How often the trial's processes are looked for by default.
const POLL: Duration = Duration::from_secs(1);

/// What the command line says.
#[derive(Clone, Debug, PartialEq)]
pub struct Flags {
    /// What to collect, and where.
    pub plan: CollectorPlan,
    /// Address of the DB manager.
    pub db_manager: String,
    /// Address of the early stopping service; needed with stop rules alone.
    pub early_stopping: String,
    /// Where the metrics are.
    pub path: String,
    /// How often the trial's processes are looked for.
    pub poll: Duration,
    /// When to give up waiting for them.
    pub timeout: Option<Duration>,
    /// Wait for all processes, not for the main one alone.
    pub wait_all: bool,
    /// The trial runs in `diwan-entrypoint wrap`.
    pub wrapped: bool,
    /// Where the trial's container leaves word; the folder of the path when not given.
    pub marks: Option<String>,
}

/// A command line that can't be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("flag -{flag}: {problem}")]
pub struct FlagError {
    /// The flag.
    pub flag: String,
    /// What is wrong.
    pub problem: String,
}

fn refuse(flag: &str, problem: impl Into<String>) -> FlagError {
    FlagError {
        flag: flag.to_owned(),
        problem: problem.into(),
    }
}

impl Flags {
    /// Reads a command line without the program's name.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, FlagError> {
        let mut given = Given::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let Some(flag) = arg.strip_prefix('-') else {
                return Err(refuse(&arg, "is no flag"));
            };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            if flag == "wrapped" {
                given.wrapped = true;
                continue;
            }
            let (flag, value) = if let Some((flag, value)) = flag.split_once('=') {
                (flag, value.to_owned())
            } else {
                let value = args.next();
                (flag, value.ok_or_else(|| refuse(flag, "needs a value"))?)
            };
            given.take(flag, value)?;
        }
        given.finish()
    }
}

#[derive(Default)]
struct Given {
    trial: String,
    metrics: String,
    objective_type: String,
    db_manager: String,
    early_stopping: String,
    path: String,
    format: String,
    filters: String,
    rules: Vec<EarlyStoppingRule>,
    poll: Option<Duration>,
    timeout: Option<Duration>,
    wait_all: Option<bool>,
    namespace: String,
    wrapped: bool,
    marks: Option<String>,
    plan: Option<CollectorPlan>,
}

impl Given {
    fn take(&mut self, flag: &str, value: String) -> Result<(), FlagError> {
        let duration = |value: &str| {
            duration(value).ok_or_else(|| {
                refuse(
                    flag,
                    format!("{value:?} is no duration; write it as in 1s, 500ms or 1m30s"),
                )
            })
        };
        match flag {
            "t" => self.trial = value,
            "m" => self.metrics = value,
            "o-type" => self.objective_type = value,
            "s-db" => self.db_manager = value,
            "s-earlystop" => self.early_stopping = value,
            "path" => self.path = value,
            "format" => self.format = value,
            "f" => self.filters = value,
            "namespace" => self.namespace = value,
            "marks" => self.marks = Some(value).filter(|folder| !folder.is_empty()),
            "plan" => {
                let plan = serde_json::from_str(&value);
                self.plan = Some(plan.map_err(|error| refuse(flag, error.to_string()))?);
            }
            "stop-rule" => self.rules.push(stop_rule(&value)?),
            "p" => self.poll = Some(duration(&value)?),
            "timeout" => self.timeout = Some(duration(&value)?),
            "w" => {
                let wait = match value.as_str() {
                    "true" | "True" | "TRUE" | "t" | "T" | "1" => true,
                    "false" | "False" | "FALSE" | "f" | "F" | "0" => false,
                    other => {
                        return Err(refuse(flag, format!("{other:?} is neither true nor false")));
                    }
                };
                self.wait_all = Some(wait);
            }
            other => return Err(refuse(other, "is unknown")),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Flags, FlagError> {
        let plan = match self.plan.take() {
            Some(plan) => plan,
            None => self.described()?,
        };
        Ok(self.with_plan(plan))
    }

    /// The plan that Katib's flags describe.
    fn described(&self) -> Result<CollectorPlan, FlagError> {
        let kind = match self.format.as_str() {
            "" => CollectorKind::TensorFlowEvent,
            "TEXT" | "JSON" => CollectorKind::File,
            other => {
                return Err(refuse(
                    "format",
                    format!("{other:?} is unknown; write TEXT or JSON"),
                ));
            }
        };
        let mut metrics = self
            .metrics
            .split(';')
            .filter(|name| !name.is_empty())
            .map(Into::into);
        let objective = metrics
            .next()
            .ok_or_else(|| refuse("m", "names no metric"))?;
        if self.trial.is_empty() {
            return Err(refuse("t", "names no trial"));
        }
        if !self.rules.is_empty() && self.early_stopping.is_empty() {
            return Err(refuse("s-earlystop", "is needed with -stop-rule"));
        }
        let path = match (self.path.is_empty(), &kind) {
            (false, _) => self.path.clone(),
            (true, CollectorKind::TensorFlowEvent) => DEFAULT_TFEVENT_PATH.to_owned(),
            (true, _) => DEFAULT_LOG_PATH.to_owned(),
        };
        let filters = self.filters.split(';').filter(|filter| !filter.is_empty());
        let source = SourceSpec {
            http_get: None,
            file_system_path: Some(FileSystemPath {
                path,
                kind: String::new(),
                format: self.format.clone(),
            }),
            filter: Some(FilterSpec {
                metrics_format: filters.map(Into::into).collect(),
            }),
        };
        Ok(CollectorPlan {
            trial: self.trial.clone(),
            namespace: self.namespace.clone(),
            primary_container: String::new(),
            objective,
            additional: metrics.collect(),
            objective_type: match self.objective_type.as_str() {
                "minimize" => ObjectiveType::Minimize,
                "maximize" => ObjectiveType::Maximize,
                other => ObjectiveType::Other(other.to_owned()),
            },
            spec: MetricsCollectorSpec {
                source: Some(source),
                collector: Some(CollectorSpec {
                    kind: Some(kind),
                    custom_collector: None,
                }),
            },
            stop_rules: self.rules.clone(),
        })
    }

    /// The plan says all about the trial; paths, addresses and times are as given.
    fn with_plan(self, plan: CollectorPlan) -> Flags {
        let default = match plan.spec.kind() {
            CollectorKind::TensorFlowEvent => DEFAULT_TFEVENT_PATH,
            _ => DEFAULT_LOG_PATH,
        };
        let given = Some(self.path).filter(|path| !path.is_empty());
        let named = || plan.spec.path().map(|path| path.path.clone());
        Flags {
            path: given.or_else(named).unwrap_or_else(|| default.to_owned()),
            plan,
            db_manager: self.db_manager,
            early_stopping: self.early_stopping,
            poll: self.poll.unwrap_or(POLL),
            timeout: self.timeout.filter(|timeout| !timeout.is_zero()),
            wait_all: self.wait_all.unwrap_or(true),
            wrapped: self.wrapped,
            marks: self.marks,
        }
    }
}

fn stop_rule(text: &str) -> Result<EarlyStoppingRule, FlagError> {
    let fields: Vec<&str> = text.split(';').collect();
    let &[name, value, comparison, step] = fields.as_slice() else {
        let problem = format!("{text:?} is not name;value;comparison;start step");
        return Err(refuse("stop-rule", problem));
    };
    let comparison = match comparison {
        "equal" => Comparison::Equal,
        "less" => Comparison::Less,
        "greater" => Comparison::Greater,
        other => {
            let problem = format!("comparison {other:?} is unknown; write equal, less or greater");
            return Err(refuse("stop-rule", problem));
        }
    };
    let start_step = step.parse().map_err(|_| {
        refuse(
            "stop-rule",
            format!("start step {step:?} is no whole number"),
        )
    })?;
    Ok(EarlyStoppingRule {
        name: name.to_owned(),
        value: value.to_owned(),
        comparison: Some(comparison),
        start_step,
    })
}

/// Reads a duration as Go writes it: `1h2m3.5s`, `500ms`, `0`.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let unit_end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = match &rest[..unit_end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number * unit;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Flags, FlagError> {
        Flags::parse(line.split(' ').map(Into::into))
    }

    #[test]
    fn katibs_command_lines_are_understood() {
        let flags = parse(
            "-t trial -m loss;acc -o-type minimize -s-db katib-db-manager.kubeflow:6789 \
             -path /var/log/katib/metrics.log -f ([a-z]+)=(.*);(x)(y) -format TEXT -w false \
             -stop-rule loss;0.5;greater;4 --stop-rule=acc;0.1;less;0 -s-earlystop es:6788 -p 2s",
        )
        .unwrap();
        assert_eq!(
            (flags.plan.objective.as_str(), flags.plan.additional.len()),
            ("loss", 1)
        );
        assert_eq!(flags.plan.spec.filters(), ["([a-z]+)=(.*)", "(x)(y)"]);
        assert_eq!(flags.plan.spec.kind(), CollectorKind::File);
        assert_eq!(
            (flags.wait_all, flags.poll, flags.timeout),
            (false, Duration::from_secs(2), None)
        );
        assert_eq!(flags.plan.stop_rules.len(), 2);
        assert_eq!(flags.plan.stop_rules[0].start_step, 4);
        let events =
            parse("-t t -m a/b -o-type maximize -s-db x:1 -path /logs -timeout 1m30s").unwrap();
        assert_eq!(events.plan.spec.kind(), CollectorKind::TensorFlowEvent);
        assert_eq!(events.timeout, Some(Duration::from_secs(90)));
        assert!(events.wait_all && !events.wrapped);
        let wrapped = parse("-wrapped -marks /m -t t -m a -s-db x:1").unwrap();
        assert!(wrapped.wrapped);
        assert_eq!(super::super::marks_folder(&wrapped).to_str(), Some("/m"));
    }

    #[test]
    fn what_cannot_be_followed_names_its_flag() {
        for (line, expected) in [
            ("-m loss", "flag -t: names no trial"),
            ("-t x", "flag -m: names no metric"),
            ("-t", "flag -t: needs a value"),
            ("t", "flag -t: is no flag"),
            ("-x 1", "flag -x: is unknown"),
            (
                "-t x -m y -format XML",
                "flag -format: \"XML\" is unknown; write TEXT or JSON",
            ),
            (
                "-p soon",
                "flag -p: \"soon\" is no duration; write it as in 1s, 500ms or 1m30s",
            ),
            (
                "-stop-rule a;b;less",
                "flag -stop-rule: \"a;b;less\" is not name;value;comparison;start step",
            ),
            (
                "-t x -m y -stop-rule y;1;less;1",
                "flag -s-earlystop: is needed with -stop-rule",
            ),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert_eq!(error, expected, "{line}");
        }
    }

    #[test]
    fn durations_are_those_of_go() {
        for (text, expected) in [
            ("0", 0),
            ("1s", 1000),
            ("1m30s", 90_000),
            ("1.5s", 1500),
            ("20ms", 20),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(expected)),
                "{text}"
            );
        }
        for text in ["", "1", "s", "1d", "-1s", "1.1.1s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
