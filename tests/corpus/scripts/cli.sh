# A day with the docker CLI: what somebody does who builds, runs and debugs, and never needs the host.
docker version
docker info
docker pull alpine:3.20
docker pull quay.io/prometheus/busybox
docker login -u u -p p ghcr.io
docker images --filter dangling=true
docker run --rm busybox echo hello
echo hi | docker run -i --rm busybox cat
docker run -d --name web -p 8080:80 -e A=b -l team=blue --restart on-failure:3 busybox sleep 300
docker run -d --name limited -m 64m --cpus 0.5 --pids-limit 100 --memory-swap 64m --cpu-shares 512 busybox sleep 300
docker run --rm --read-only --tmpfs /tmp:size=1m --cap-drop ALL --cap-add CHOWN --security-opt no-new-privileges busybox true
docker run --rm --init --user 1000:1000 -w /tmp --hostname h --domainname d --add-host a:10.0.0.1 --dns 10.0.0.2 busybox id
docker run --rm --ulimit nofile=64:64 --shm-size 8m --stop-signal SIGINT --stop-timeout 3 --sysctl net.core.somaxconn=64 busybox true
docker run --rm --network none --log-driver json-file --log-opt max-size=1m --entrypoint sh busybox -c true
docker run -d --name healthy --health-cmd true --health-interval 1s --health-retries 2 --health-timeout 1s busybox sleep 300
docker volume create --label team=blue data
docker run --rm -v data:/data --mount type=volume,source=data,target=/d2,readonly busybox ls /data
docker run --rm --mount type=tmpfs,destination=/t,tmpfs-size=1m -v /anonymous busybox ls /t
docker volume ls --filter label=team=blue
docker volume inspect data
docker network create --label team=blue --subnet 10.77.0.0/24 net
docker network create --internal inner
docker run -d --name member --network net --network-alias alias --ip 10.77.0.9 busybox sleep 300
docker network connect --alias other inner member
docker network disconnect inner member
docker network inspect net
docker network ls --filter driver=bridge
docker ps
docker ps -a --filter status=running --filter label=team=blue --format '{{.Names}}'
docker ps -n 3 -s
docker inspect web
docker inspect --size web
docker logs --tail 5 --timestamps web
docker logs --since 1h --until 1s web
docker exec web echo hello
docker exec -e A=b -w /tmp -u nobody web env
echo hi | docker exec -i web cat
docker exec -d web sleep 1
docker top web
docker stats --no-stream web
docker stats --no-stream
docker port web
docker diff web
docker cp web:/etc/hostname .
docker cp hostname web:/tmp/hostname
docker rename web web2
docker update -m 128m --memory-swap 128m --cpus 1 --restart no limited
docker pause web2
docker unpause web2
docker commit -m message -c 'ENV A=b' -c 'LABEL team=blue' web2 mine:1
docker export web2 -o web.tar
docker import web.tar imported:1
docker tag mine:1 mine:2
docker history mine:1
docker save -o mine.tar mine:1 mine:2
docker load -i mine.tar
docker image inspect mine:1
printf 'FROM busybox\nARG V=1\nLABEL team=blue\nCOPY hostname /h\nRUN echo $V > /v\nCMD ["cat","/v"]\n' > Dockerfile
docker build -t built:1 --build-arg V=2 --label a=b --target '' --no-cache .
docker build -t built:2 --pull=false -m 128m --shm-size 32m --network none .
docker build -q --cache-from built:1 -f Dockerfile - < web.tar
docker kill -s HUP web2
docker stop -t 1 web2
docker start web2
docker restart -t 1 web2
docker wait member & waiting=$!
docker stop -t 1 member
wait $waiting
docker events --since 10m --until 0s --filter type=container
docker search busybox
docker push ghcr.io/u/mine:1
docker system df
docker rm -f web2 limited member healthy
docker rmi mine:1 mine:2 imported:1
docker network rm net inner
docker volume rm data
docker container prune -f --filter until=1h
docker image prune -f
docker volume prune -f
docker network prune -f --filter label=team=blue
docker create --name term -it busybox sh
docker start term
docker attach --no-stdin --detach-keys ctrl-a term & attached=$!
sleep 0.3
kill $attached
docker rm -f term
docker logout ghcr.io
