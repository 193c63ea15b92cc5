"""Checks the manifests of this folder without a cluster and without a network: python3 check.py [BUILT…].

Every resource that Kubernetes knows is held to its schema, with nothing unknown in it; of train.yaml, whose kind is Kubeflow's, the
pods are, and the keys around them. BUILT are files that kustomize has made of the overlays. kubernetes-validate 1.37 is needed.
"""
import glob, os, re, sys
import kubernetes_validate, yaml

HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = "1.37"


def documents(path):
    with open(path) as file:
        return [d for d in yaml.safe_load_all(file) if d]


def check(resource, path):
    kubernetes_validate.validate(resource, VERSION, strict=True)
    print(f"{os.path.relpath(path, HERE)}: {resource['kind']} {resource['metadata'].get('name', '')} is sound")


def check_restricted(pod, path):
    """A pod that a namespace takes which enforces the pod security standard "restricted"."""
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", path
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False and security["capabilities"] == {"drop": ["ALL"]}, (path, container["name"])
    assert all(set(v) - {"name"} <= {"persistentVolumeClaim", "secret", "emptyDir"} for v in pod.get("volumes", [])), path


def check_job(job, path):
    assert job["apiVersion"] == "kubeflow.org/v2beta1" and job["kind"] == "MPIJob", job["kind"]
    spec = job["spec"]
    assert set(spec) <= {"slotsPerWorker", "sshAuthMountPath", "runPolicy", "mpiReplicaSpecs", "launcherCreationPolicy", "mpiImplementation",
                         "runLauncherAsWorker"}, set(spec)
    assert set(spec["runPolicy"]) <= {"cleanPodPolicy", "ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit", "suspend",
                                      "schedulingPolicy", "managedBy"}
    assert set(spec["mpiReplicaSpecs"]) == {"Launcher", "Worker"}
    for name, role in spec["mpiReplicaSpecs"].items():
        assert set(role) <= {"replicas", "template", "restartPolicy"}, set(role)
        check({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": name.lower()}, "template": role["template"]}, path)
        check_restricted(role["template"]["spec"], path)
        assert role["restartPolicy"] == "OnFailure", f"{name}: got {role['restartPolicy']}, want what begins again"
    launcher = spec["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"][0]
    ranks = int(launcher["command"][launcher["command"].index("-n") + 1])
    assert ranks == spec["mpiReplicaSpecs"]["Worker"]["replicas"] * spec["slotsPerWorker"], "want as many ranks as slots"


def check_store(resources, bucket, path):
    """The memories of a built overlay are in one place, a volume that all pods share or a bucket, and nothing is left of the other."""
    pods = next(r for r in resources if r["kind"] == "StatefulSet")["spec"]["template"]["spec"]
    serve = pods["containers"][0]
    check_restricted(pods, path)
    env = {e["name"]: e for e in serve["env"]}["MEMORY_STORE"]
    claims = [r["metadata"]["name"] for r in resources if r["kind"] == "PersistentVolumeClaim"]
    mounted = [m["mountPath"] for m in serve["volumeMounts"]]
    assert "$(MEMORY_STORE)" in serve["command"], path
    assert {m["name"] for m in serve["volumeMounts"]} == {v["name"] for v in pods["volumes"]}, path
    if bucket:
        assert set(env) == {"name", "valueFrom"} and not claims and "/memories" not in mounted, path
        assert serve["envFrom"] == [{"secretRef": {"name": "bitgpu-s3"}}], path
        assert next(r for r in resources if r["kind"] == "NetworkPolicy")["spec"]["egress"], path
    else:
        assert env == {"name": "MEMORY_STORE", "value": "/memories"} and claims == ["bitgpu-memories"] and "/memories" in mounted, path


def main(built):
    for path in sorted(glob.glob(os.path.join(HERE, "base", "*.yaml"))) + built:
        if os.path.basename(path) != "kustomization.yaml":
            for resource in documents(path):
                check(resource, path)
    base = documents(os.path.join(HERE, "base", "kustomization.yaml"))[0]
    there = {os.path.basename(p) for p in glob.glob(os.path.join(HERE, "base", "*.yaml"))} - {"kustomization.yaml"}
    assert set(base["resources"]) == there, f"{base['resources']} listed, {there} there"
    for job in documents(os.path.join(HERE, "train.yaml")):
        check_job(job, os.path.join(HERE, "train.yaml"))
    rule = documents(os.path.join(HERE, "adapter.yaml"))[0]["rules"][0]
    scaled = [m["pods"]["metric"]["name"] for d in documents(os.path.join(HERE, "base", "scale.yaml"))
              if d["kind"] == "HorizontalPodAutoscaler" for m in d["spec"]["metrics"]]
    stateful = documents(os.path.join(HERE, "base", "serve.yaml"))[0]
    assert "replicas" not in stateful["spec"], "a number of pods beside the autoscaler's, which each apply would bring back"
    assert scaled == [rule["name"]["as"]], f"the autoscaler reads {scaled}, the adapter makes {rule['name']['as']}"
    # What a patch names must be there, or kustomize adds a thing that nobody wanted.
    known = {(d["kind"], d["metadata"]["name"]) for path in glob.glob(os.path.join(HERE, "base", "*.yaml"))
             if os.path.basename(path) != "kustomization.yaml" for d in documents(path)}
    for path in glob.glob(os.path.join(HERE, "overlays", "*", "kustomization.yaml")) + glob.glob(os.path.join(HERE, "components", "*", "kustomization.yaml")):
        for patch in documents(path)[0].get("patches", []):
            patch = yaml.safe_load(patch["patch"])
            assert (patch["kind"], patch["metadata"]["name"]) in known, path
            if patch["kind"] == "StatefulSet":
                assert [c["name"] for c in patch["spec"]["template"]["spec"]["containers"]] == ["serve"], path
    for path in built:
        check_store(documents(path), os.path.basename(path).endswith("-s3.yaml"), path)
    broken = documents(os.path.join(HERE, "base", "serve.yaml"))[0]
    broken["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    try:
        kubernetes_validate.validate(broken, VERSION, strict=True)
    except kubernetes_validate.ValidationError:
        return
    sys.exit("the check lets pass what is wrong")


if __name__ == "__main__":
    main(sys.argv[1:])
