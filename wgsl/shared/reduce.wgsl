// Sums over a workgroup, the same in every thread. WORKGROUP is a constant; a barrier comes first and last.
var<workgroup> reduced: array<vec2<f32>, WORKGROUP>;

fn workgroup_sum(v: f32, thread: u32) -> f32 {
    return workgroup_sums(vec2<f32>(v, 0.0), thread).x;
}

fn workgroup_sums(v: vec2<f32>, thread: u32) -> vec2<f32> {
    workgroupBarrier();
    reduced[thread] = v;
    // Eight become one each time: few barriers, and short chains of additions.
    for (var n = WORKGROUP; n > 1u; n = (n + 7u) / 8u) {
        workgroupBarrier();
        let left_over = (n + 7u) / 8u;
        if thread < left_over {
            var sum = vec2<f32>(0.0);
            for (var i = thread; i < n; i += left_over) {
                sum += reduced[i];
            }
            reduced[thread] = sum;
        }
    }
    workgroupBarrier();
    return reduced[0];
}
