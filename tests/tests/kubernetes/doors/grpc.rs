//! The gRPC services: of whom each call is answered, with the stubs of Katib's own SDK.

use std::process::Stdio;

use diwan_tests::cluster::{Cluster, SYSTEM};
use diwan_tests::forward::Forward;
use diwan_tests::python;
use serde_json::{Value, json};

use super::Team;

/// Makes the calls that its argument lists, and prints a line for each: the code, and what was said.
const CALL: &str = "\
import json, sys
import grpc
from google.protobuf import json_format
from kubeflow.katib import katib_api_pb2 as messages, katib_api_pb2_grpc as stubs
for call in json.loads(sys.argv[1]):
    stub = getattr(stubs, call['service'] + 'Stub')(grpc.insecure_channel(call['address']))
    message = getattr(messages, call['method'] + 'Request')()
    json_format.ParseDict(call['body'], message)
    try:
        said = getattr(stub, call['method'])(message, metadata=call['metadata'], timeout=30)
        print('OK', json.dumps(json_format.MessageToDict(said)))
    except grpc.RpcError as error:
        print(error.code().name, json.dumps(error.details()))
";

const OK: &str = "OK";
const WHO: &str = "UNAUTHENTICATED";
const NO: &str = "PERMISSION_DENIED";

/// Who calls: the metadata, of which `diwan-namespace` is the trial's unless another is given.
type Caller<'a> = (&'a str, Vec<(&'a str, String)>);

struct Doors<'a> {
    cluster: &'a Cluster,
    db_manager: String,
    early_stopping: String,
}

pub(super) fn guards(cluster: &Cluster, ours: &Team, theirs: &Team) {
    {
        let db_manager = Forward::open(cluster, SYSTEM, "service/katib-db-manager", 6789);
        let early_stopping = Forward::open(cluster, SYSTEM, "service/diwan-suggestion", 6788);
        let doors = Doors {
            cluster,
            db_manager: db_manager.address.clone(),
            early_stopping: early_stopping.address.clone(),
        };
        doors.refuse(ours, theirs);
    }
    cluster.set_environment("DIWAN_ALLOW_ANONYMOUS_READS=true");
    let db_manager = Forward::open(cluster, SYSTEM, "service/katib-db-manager", 6789);
    let early_stopping = Forward::open(cluster, SYSTEM, "service/diwan-suggestion", 6788);
    let doors = Doors {
        cluster,
        db_manager: db_manager.address.clone(),
        early_stopping: early_stopping.address.clone(),
    };
    doors.let_all_read(theirs);
    cluster.set_environment("DIWAN_ALLOW_ANONYMOUS_READS-");
}

/// All who may knock at a trial's door, and those that come from elsewhere.
fn callers<'a>(ours: &Team, theirs: &Team) -> Vec<Caller<'a>> {
    let at = |namespace: &str| ("diwan-namespace", namespace.to_owned());
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let trial = |token: &str| ("diwan-trial-token", token.to_owned());
    let place = at(theirs.name);
    vec![
        ("nobody", vec![place.clone()]),
        ("nobody, without a namespace", vec![]),
        ("a wrong token", vec![place.clone(), bearer("guess")]),
        (
            "another team's owner",
            vec![place.clone(), bearer(&ours.owner)],
        ),
        (
            "another team's owner, without a namespace",
            vec![bearer(&ours.owner)],
        ),
        (
            "another team's trial",
            vec![place.clone(), trial(&ours.trial_token)],
        ),
        (
            "another team's trial, at home",
            vec![at(ours.name), trial(&ours.trial_token)],
        ),
        (
            "another team's trial, without a namespace",
            vec![trial(&ours.trial_token)],
        ),
        (
            "the trial, elsewhere",
            vec![at(ours.name), trial(&theirs.trial_token)],
        ),
        ("a reader", vec![place.clone(), bearer(&theirs.reader)]),
        ("an owner", vec![place.clone(), bearer(&theirs.owner)]),
        ("an owner, without a namespace", vec![bearer(&theirs.owner)]),
        ("the trial", vec![place, trial(&theirs.trial_token)]),
    ]
}

impl Doors<'_> {
    /// Makes a call once for each caller; the code and what was said.
    fn call(
        &self,
        service: &str,
        method: &str,
        body: &Value,
        callers: &[Caller<'_>],
    ) -> Vec<(String, String)> {
        let address = match service {
            "DBManager" => &self.db_manager,
            _ => &self.early_stopping,
        };
        let calls = callers.iter().map(|(_, metadata)| {
            json!({
                "address": address, "service": service, "method": method, "body": body,
                "metadata": metadata,
            })
        });
        let calls = calls.collect::<Value>().to_string();
        let mut python = self.cluster.command(python());
        let output = python
            .args(["-c", CALL, &calls])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let said: Vec<(String, String)> = said
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(code, text)| (code.to_owned(), text.to_owned()))
            .collect();
        assert_eq!(
            said.len(),
            callers.len(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    /// The same, of which the codes are to be these.
    fn expect(
        &self,
        service: &str,
        method: &str,
        body: &Value,
        callers: &[Caller<'_>],
        codes: &[&str],
    ) {
        let said = self.call(service, method, body, callers);
        for (((who, _), (code, text)), expected) in callers.iter().zip(&said).zip(codes) {
            assert_eq!(code, expected, "{method} by {who}: {text}");
        }
        assert_eq!(said.len(), codes.len());
    }

    fn refuse(&self, ours: &Team, theirs: &Team) {
        let callers = callers(ours, theirs);
        let trial = json!({"trial_name": theirs.trial});
        let rows = json!([{
            "time_stamp": "2024-01-02T03:04:05Z", "metric": {"name": "loss", "value": "7"},
        }]);
        let report = json!({
            "trial_name": theirs.trial, "observation_log": {"metric_logs": rows},
        });
        let strangers = [WHO, WHO, WHO, NO, NO, NO, NO, NO, NO];
        let read = [&strangers[..], &[OK, OK, OK, OK]].concat();
        let write = [&strangers[..], &[NO, OK, OK, OK]].concat();
        let log = "DBManager";
        self.expect(log, "GetObservationLog", &trial, &callers, &read);
        self.expect(log, "ReportObservationLog", &report, &callers, &write);
        self.expect("EarlyStopping", "SetTrialStatus", &trial, &callers, &write);
        self.rules(ours, theirs);
        // Up to the first that may.
        let may_not = &callers[..10];
        self.expect(log, "DeleteObservationLog", &trial, may_not, &write[..10]);
        let reader = &callers[9..10];
        let (_, rows) = &self.call(log, "GetObservationLog", &trial, reader)[0];
        assert!(rows.contains("loss"), "{rows}");
        // At home an owner may ask about every name, and finds nothing under this one.
        let home = ("diwan-namespace", ours.name.to_owned());
        let owner = ("authorization", format!("Bearer {}", ours.owner));
        let at_home = [("an owner at home", vec![home, owner])];
        let (code, rows) = &self.call(log, "GetObservationLog", &trial, &at_home)[0];
        assert_eq!(
            (code.as_str(), rows.contains("loss")),
            (OK, false),
            "{rows}"
        );
        self.expect(log, "DeleteObservationLog", &trial, &callers[12..], &[OK]);
        let (_, rows) = &self.call(log, "GetObservationLog", &trial, reader)[0];
        assert!(!rows.contains("loss"), "{rows}");
        self.expect(log, "DeleteObservationLog", &trial, &callers[10..11], &[OK]);
    }

    /// Rules are made of logs, so they tell what is in them.
    fn rules(&self, ours: &Team, theirs: &Team) {
        let objective = json!({"type": "MINIMIZE", "objective_metric_name": "loss"});
        let setting = |name: &str| json!({"name": name, "value": "1"});
        let body = json!({
            "experiment": {"name": theirs.name, "spec": {
                "objective": objective,
                "early_stopping": {
                    "algorithm_name": "medianstop",
                    "algorithm_settings": [setting("min_trials_required"), setting("start_step")],
                },
            }},
            "trials": [{
                "name": theirs.trial, "spec": {"objective": objective},
                "status": {"condition": "SUCCEEDED"},
            }],
        });
        for (who, metadata) in callers(ours, theirs) {
            let may = who == "a reader" || who.starts_with("an owner");
            let (code, said) = &self.call(
                "EarlyStopping",
                "GetEarlyStoppingRules",
                &body,
                &[(who, metadata)],
            )[0];
            assert_eq!(code == OK, may, "{who}: {code} {said}");
            assert_eq!(said.contains("earlyStoppingRules"), may, "{who}: {said}");
        }
    }

    fn let_all_read(&self, theirs: &Team) {
        let nobody: [Caller<'_>; 1] =
            [("nobody", vec![("diwan-namespace", theirs.name.to_owned())])];
        let trial = json!({"trial_name": theirs.trial});
        self.expect("DBManager", "GetObservationLog", &trial, &nobody, &[OK]);
        self.expect("DBManager", "DeleteObservationLog", &trial, &nobody, &[WHO]);
        self.expect("EarlyStopping", "SetTrialStatus", &trial, &nobody, &[WHO]);
    }
}
