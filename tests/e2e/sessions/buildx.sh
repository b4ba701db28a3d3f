export DOCKER_BUILDKIT=1; docker buildx inspect --format '{{.Driver}}' 2>/dev/null; docker buildx ls | awk 'NR > 1 {print $1, $4}'

printf 'hello\n' > greeting; printf secret > token; printf 'FROM busybox AS base\nCOPY greeting /greeting\nRUN cat /greeting > /copy\nFROM base\nARG WHO=you\nRUN --mount=type=cache,target=/cache --mount=type=secret,id=token echo "$WHO $(wc -c < /run/secrets/token)" > /who\nCMD ["cat","/copy","/who"]\n' > Dockerfile

docker buildx build --network none --no-cache --progress plain --build-arg WHO=me --secret id=token,src=token -t bx:1 . 2>/dev/null

docker run --rm --network none bx:1

export DOCKER_BUILDKIT=1; docker build --network none --no-cache -q --secret id=token,src=token . > id && docker run --rm --network none "$(cat id)"

docker buildx build --network none --target base --output type=local,dest=out . 2>/dev/null; cat out/copy

docker buildx build --network none --secret id=token,src=token --output type=tar,dest=out.tar . 2>/dev/null; tar -xOf out.tar copy who

printf 'FROM busybox\nRUN exit 3\n' > Bad; docker buildx build --network none --no-cache -f Bad . 2>/dev/null

head -c 30000000 /dev/urandom > big; printf 'FROM busybox\nCOPY big /big\n' > Big; docker buildx build --network none -q -f Big -t bx:2 . > id && docker run --rm --network none bx:2 sha256sum /big | sed "s/$(sha256sum < big | cut -c-64)/same/"

docker rmi -f bx:1 bx:2 > removed; docker buildx prune -af > removed; docker image prune -f > removed
