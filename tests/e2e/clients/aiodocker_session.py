"""aiodocker: containers, streams, execs, events and files, as an asynchronous program drives them."""

import asyncio
import io
import tarfile

import aiodocker


async def until(subscriber: "asyncio.Queue[dict[str, object]]", action: str) -> list[object]:
    seen: list[object] = []
    while action not in seen:
        event = await asyncio.wait_for(subscriber.get(), 20)
        if event["Type"] == "container":
            seen.append(event["Action"])
    return seen


async def main() -> None:
    async with aiodocker.Docker() as docker:
        version = await docker.version()
        print(version["Components"][0]["Name"], (await docker.system.info())["OSType"])
        subscriber = docker.events.subscribe()
        await asyncio.sleep(0.5)  # the subscription's own request is on its way

        config = {"Image": "busybox", "Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True, "Labels": {"a": "b"}}
        container = await docker.containers.create_or_replace(name="echo", config=config)
        async with container.attach(stdin=True, stdout=True, stderr=True) as stream:
            await container.start()
            await stream.write_in(b"carried\n")
            print((await stream.read_out()).data)
        print(await until(subscriber, "start"))
        print((await container.wait())["StatusCode"], await until(subscriber, "die"))
        await container.delete()

        sleeper = await docker.containers.run({"Image": "busybox", "Cmd": ["sh", "-c", "echo ready; sleep 60"]})
        execution = await sleeper.exec(["sh", "-c", "echo out; echo err >&2; exit 3"])
        async with execution.start(detach=False) as stream:
            said = {}
            while message := await stream.read_out():
                said[message.stream] = said.get(message.stream, b"") + message.data
        print(said, (await execution.inspect())["ExitCode"])
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            member = tarfile.TarInfo("file")
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
        await sleeper.put_archive("/tmp", archive.getvalue())
        print((await sleeper.get_archive("/tmp/file")).extractfile("file").read())
        print(await sleeper.log(stdout=True))
        print((await sleeper.stats(stream=False))[0]["pids_stats"]["current"])
        print([each.id == sleeper.id for each in await docker.containers.list(filters={"status": ["running"]})])
        await sleeper.delete(force=True)

        volume = await docker.volumes.create({"Name": "async"})
        print((await volume.show())["Driver"])
        await volume.delete()
        print([each["RepoTags"] for each in await docker.images.list()])


asyncio.run(main())
