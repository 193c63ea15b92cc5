// The number of a workgroup counted through a grid whose x is folded into y, because a dimension holds at most
// 65,535 workgroups. The fold may leave surplus workgroups at the end: guard by the element count.
fn flat_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
