docker version --format '{{.Server.Version}} {{.Server.APIVersion}}'

docker run --rm --network none busybox sh -c 'echo out; echo err >&2; exit 7'

echo hi | docker run -i --rm --network none busybox cat

docker run --rm busybox nosuch

docker run -d --name web -p 127.0.0.1:8080:80 -e A=b -l team=blue -v data:/data busybox sh -c 'echo one; sleep 1; echo two >&2; sleep 300'

sleep 2

docker ps -a --filter label=team=blue --format '{{.Names}} {{.Image}} {{.Ports}} {{.Labels}}'

docker inspect web

docker logs web

timeout -s INT 3 docker logs -f --tail 1 web

docker exec -e A=c -w /tmp -u nobody web sh -c 'echo $A; pwd; id -un'

echo hi | docker exec -i web cat

docker exec web sh -c 'exit 3'

docker top web -o comm

docker stats --no-stream --format '{{.Name}} {{.PIDs}}' web

docker port web

echo copied > file && docker cp file web:/tmp/file && docker cp web:/tmp/file - | tar -xO

docker diff web | sort

docker commit -m message -c 'ENV A=b' web mine:1

docker history --format '{{.CreatedBy}} {{.Comment}}' mine:1

docker export web | tar -t | sort | head -5

docker save mine:1 | docker load

docker pause web && docker inspect -f '{{.State.Status}}' web && docker unpause web

docker update -m 64m --memory-swap 64m web && docker inspect -f '{{.HostConfig.Memory}}' web

docker rename web web2 && docker restart -t 0 web2

docker wait web2 > waited & sleep 0.5; docker stop -t 0 web2; wait; cat waited

printf 'FROM busybox\nARG V=1\nCOPY file /file\nRUN echo $V > /v\nCMD ["cat","/file","/v"]\n' > Dockerfile; docker build -q --no-cache --network none --build-arg V=2 -t built:1 . && docker run --rm --network none built:1

printf 'FROM busybox\nRUN exit 4\n' | docker build --rm --force-rm --network none -

docker network create --internal --subnet 10.77.0.0/24 inner && docker network inspect inner && docker run --rm --network inner --ip 10.77.0.9 busybox ip -4 -o addr show eth0 | awk '{print $4}'

docker events --since 10m --until "$(date +%s)" --filter "container=$(docker inspect -f '{{.Id}}' web2)" --format '{{.Action}}'

docker pull 127.0.0.1:1/nothing

docker rm web2

docker start nobody

docker rm -f web2; docker network rm inner; docker volume rm data; docker rmi -f mine:1 built:1 > removed

docker system prune -f > removed
