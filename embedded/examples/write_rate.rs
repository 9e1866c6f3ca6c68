//! Measures durable writes: `write_rate [WRITERS] [WRITES]`. Prints writes per second through the
//! API, and beside it how often the same disk syncs one small file.

use std::{env, error::Error, fs::File, io::Write, time::Instant};

use diwan_embedded::{Api, Options, Subresource, resource};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args()
        .skip(1)
        .map(|argument| argument.parse::<usize>());
    let writers = arguments.next().transpose()?.unwrap_or(16);
    let writes = arguments.next().transpose()?.unwrap_or(500);
    let directory = env::temp_dir().join(format!("write-rate-{}", std::process::id()));
    let api = Api::open(Options::new(&directory))?;
    let started = Instant::now();
    let tasks = (0..writers).map(|writer| {
        let api = api.clone();
        tokio::spawn(async move {
            let name = format!("map-{writer}");
            let object = json!({ "metadata": { "name": name }, "data": { "n": "0" } });
            api.create(&resource::CONFIG_MAPS, "default", object)
                .await?;
            for i in 1..writes {
                api.modify(
                    &resource::CONFIG_MAPS,
                    "default",
                    &name,
                    Subresource::None,
                    |object| {
                        object["data"]["n"] = json!(i.to_string());
                        true
                    },
                )
                .await?;
            }
            Ok::<_, diwan_embedded::Status>(())
        })
    });
    for task in futures::future::join_all(tasks).await {
        task??;
    }
    let rate = (writers * writes) as f64 / started.elapsed().as_secs_f64();
    let mut file = File::create(directory.join("bare"))?;
    let (started, syncs) = (Instant::now(), 200);
    for _ in 0..syncs {
        file.write_all(&[0; 512])?;
        file.sync_data()?;
    }
    let bare = f64::from(syncs) / started.elapsed().as_secs_f64();
    eprintln!("{writers} writers: {rate:.0} durable writes/s; one file: {bare:.0} syncs/s");
    drop(api);
    std::fs::remove_dir_all(directory)?;
    Ok(())
}
