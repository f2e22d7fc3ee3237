//! The simulator as a whole, and the parts of it that can be driven alone.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vsr_core::checksum::Checksum;
use vsr_core::header::Header;
use vsr_core::number::ClusterId;
use vsr_sim::engine::queue::Queue;
use vsr_sim::engine::trace::Trace;
use vsr_sim::engine::{Seed, Span, Time};
use vsr_sim::scenario::draw::Overrides;
use vsr_sim_bench::by_us;
use vsr_sim_bench::clusters::{Shape, run, sweep};

/// Messages of the broadcast: the bare engine with a network, nobody watching.
fn broadcast(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("broadcast");
    group.throughput(Throughput::Elements(by_us(10_000).messages));
    group.bench_function("10000 values", |bencher| bencher.iter(|| by_us(10_000)));
    group.finish();
}

/// Calm clusters, all oracles on, as replicas, clients and the pipeline grow: elements are messages.
fn calm(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("calm");
    let shape = Shape { requests: 2_000, ..Shape::default() };
    let shapes = (1..=7)
        .map(|replicas| (format!("replicas {replicas}"), Shape { replicas, ..shape }))
        .chain([1, 100].map(|clients| (format!("clients {clients}"), Shape { clients, ..shape })))
        .chain([1, 64].map(|pipeline| {
            (format!("pipeline {pipeline}"), Shape { pipeline, clients: 64, ..shape })
        }));
    for (name, shape) in shapes {
        let scenario = shape.scenario();
        group.throughput(Throughput::Elements(run(&scenario).messages));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| run(&scenario));
        });
    }
    group.finish();
}

/// Seeds of the swarm, all on: elements are seeds.
fn swarm(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("swarm");
    group.throughput(Throughput::Elements(50));
    group.bench_function("50 seeds", |bencher| {
        bencher.iter(|| sweep(0..50, &Overrides::default()));
    });
    group.finish();
}

/// What each event and each message pays for.
fn parts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parts");
    group.throughput(Throughput::Elements(1));
    group.bench_function("queue: one in, one out, 100 waiting", |bencher| {
        let mut queue = Queue::new();
        let mut stream = Seed::new(1).stream("bench");
        let delays: Vec<Span> =
            (0..1_024).map(|_| Span::from_ns(stream.below(10_000_000))).collect();
        let mut delays = delays.into_iter().cycle();
        let mut next = || delays.next().expect("it goes round");
        for thing in 0..100_u32 {
            queue.push(Time::ZERO.plus(next()), thing);
        }
        bencher.iter(|| {
            let (now, thing) = queue.pop_until(Time::MAX).expect("a hundred wait");
            queue.push(now.plus(next()), thing);
        });
    });
    group.bench_function("trace: a record of four words", |bencher| {
        let mut trace = Trace::default();
        bencher.iter(|| trace.add(black_box([1, 2, 3, 4])));
    });
    let header = Header::root(ClusterId::new(1));
    let bytes = header.encode();
    group.bench_function("header: encoded", |bencher| bencher.iter(|| black_box(&header).encode()));
    group.bench_function("header: believed", |bencher| {
        bencher.iter(|| Header::decode(black_box(&bytes)));
    });
    group.bench_function("checksum of 64 bytes", |bencher| {
        bencher.iter(|| Checksum::of(black_box(&bytes[..64])));
    });
    group.finish();
}

criterion_group!(benches, broadcast, calm, swarm, parts);
criterion_main!(benches);
