"""The lesson in Chinese, in simplified characters."""

# ruff: noqa: RUF001
# Chinese has punctuation marks of its own.

from __future__ import annotations

from typing import Final

from rpcshell.lab.lesson.texts import ModelColumn, StepText, Texts, Try, Words

_STEPS: Final = {
    "one_worker": StepText(
        title="一个工作进程，两个客户端",
        about="sync 工作进程一次只伺候一个连接，对方不挂断，它就腾不出手去 accept。"
        "这期间再来客户端，只能在监听队列里干等。",
        moments={
            "started": "1 个 sync 工作进程（pid {pid}）在 {address} 上监听",
            "held": "客户端 1 调用 ping，{took:time} 后拿到结果，但不挂断",
            "waits": "客户端 2 调用 ping；队列里的连接数：{waiting}",
            "left": "客户端 1 挂断，此时客户端 2 已经等了 {after:time}",
            "served": "工作进程 {worker} 这才接起客户端 2 并答复",
        },
        so="一次只要 {service:time} 的调用，客户端 2 等了 {waited:time}",
        tries=(Try(":spawn 1"), Try(":drill hold 1 -d 4", "有人占着连接时，旁边的调用要等多久")),
    ),
    "ten_workers": StepText(
        title="十个工作进程抢着 accept",
        about="fork 出来的子进程都继承了同一个监听套接字，共用一条队列，"
        "谁都可以 accept；但每个连接最终只会被其中一个拿到。",
        moments={
            "started": "{workers} 个 sync 工作进程在 {address} 上争抢连接",
            "took": "{connections} 个客户端依次连接、ping、挂断，共用 {took:time}",
        },
        so="{workers} 个进程各拿到 {least} 到 {most} 个，前面并没有谁在分派",
        tries=(Try(":spawn 10"), Try(":each whoami", "给每个工作进程各连一次，看看它是谁")),
    ),
    "eleven_clients": StepText(
        title="十个工作进程，来了十一个客户端",
        about="十个客户端连上就不走，哪怕什么都不问，也占住了十个 sync 工作进程。"
        "再来的只能等：要么有人离开，要么服务器出面收回一个闲着的连接。",
        moments={
            "started": "{workers} 个 sync 工作进程，--reclaim-idle {reclaim:time}",
            "held": "{clients} 个客户端各调用了一次，都不挂断",
            "waits": "客户端 11 发起调用；队列里的连接数：{waiting}",
            "left": "客户端 {client} 离开",
            "served": "工作进程 {worker} 接起客户端 11 并答复",
            "stays": "客户端 12 发起调用，这回没人离开；队列里：{waiting}",
            "reclaimed": "闲置的客户端 {client} 被请走，工作进程 {worker} 答复客户端 12",
        },
        so="客户端 11 等人离开，等了 {left:time}；客户端 12 等回收，等了 {reclaimed:time}",
        tries=(Try(":spawn 10"), Try(":drill hold 11", "谁占着、谁在等、谁被请走（默认闲置 5 s 后回收）")),
    ),
    "threads": StepText(
        title="换成多线程就好了",
        about="--model thread 给每个连接开一个线程，工作进程随即回去 accept 下一个。"
        "闲着的客户端占用的只是一个线程，不再是整个进程。",
        moments={
            "started": "1 个 thread 工作进程（pid {pid}），线程数：{threads}",
            "held": "{clients} 个客户端各调用了一次，都不挂断",
            "answered": "客户端 {client} 连上来调用，{took:time} 就有了结果",
            "grown": "工作进程现在的线程数：{threads}",
        },
        so="一个进程应付 {clients} 个客户端，谁也不用等，代价是多了 {more} 个线程",
        tries=(Try(":spawn 1 --model thread"), Try(":drill hold 50 -d 3", "旁边的调用毫不受影响")),
    ),
    "pool": StepText(
        title="线程池，以及它的陷阱",
        about="简单的线程池让线程守着连接，几个闲着的客户端就能把线程耗光。"
        "这里闲置的连接交给 epoll 看着，线程只管执行请求。",
        moments={
            "started": "1 个 pool 工作进程（pid {pid}）：{threads} 个线程，可排队 {room} 个请求",
            "parked": "{clients} 个客户端各调用了一次，都不挂断；总线程数：{threads}",
            "answered": "客户端 {client} 连上来调用，{took:time} 就有了结果",
            "storm": "再来 {clients} 个客户端同时调用 sleep，各睡 {seconds:time}",
            "served": "得到结果的：{served} 个，最慢的用了 {within:time}",
            "busy": "被告知繁忙（-32001）的：{busy} 个，最慢的用了 {within:time}",
        },
        so="这一波里 {served} 个办成，{busy} 个当场被回绝：满了就明说，绝不让人傻等",
        tries=(
            Try(":spawn 1 --model pool"),
            Try(":drill flood -n 100 --call 'sleep seconds=0.05'", "看看谁会碰上繁忙"),
        ),
    ),
    "event_loop": StepText(
        title="一个事件循环管所有人",
        about="--model async 用一个线程照看全部连接：哪个处理函数在 await，就先去忙别的。"
        "反过来，只要有一个函数不 await 而是真的阻塞，所有人都得停下。",
        moments={
            "started": "1 个 async 工作进程（pid {pid}）",
            "naps": "{clients} 个客户端同时调用 nap，每次 await {seconds:time}",
            "awake": "{took:time} 后全部完成；要是一个接一个，得 {one_by_one:time}",
            "threads": "工作进程的线程数：{threads}",
            "hog": "一个客户端调用 hog：不 await，直接阻塞 {seconds:time}",
            "stopped": "这时另一个客户端的 ping 用了 {waited:time}",
        },
        so="单个循环 {took:time} 办完 {clients} 个调用，一个不守规矩的函数又能让它全停",
        tries=(Try(":spawn 1 --model async"), Try(":drill hold 200 -d 3", "200 个闲置连接，一个线程就够")),
    ),
    "fork": StepText(
        title="PreForking 之前的做法",
        about="最老的模型是来一个连接就 fork 一个进程，连接断了进程也就退出。"
        "彼此互不相干，谁也不用等，可是每个客户端都要付一次 fork 的代价。",
        moments={
            "started": "1 个 fork 工作进程（pid {pid}）",
            "children": "{clients} 个客户端发起调用，答复它们的进程：{pids}",
            "gone": "客户端挂断，这些进程随之退出",
            "forked": "连接、ping、挂断，现 fork：{took:time}（中位数）",
            "preforked": "同样的事，交给事先 fork 好的 sync 进程：{took:time}",
        },
        so="现 fork 的耗时是它的 {ratio} 倍，所以才要预先把进程备好",
        tries=(Try(":spawn 1 --model fork"), Try(":drill hold 5 -d 3", "每个连接都有自己的 pid")),
    ),
    "killed_worker": StepText(
        title="杀掉一个工作进程",
        about="进程崩溃，丢的只是它自己和手头的那个调用。监听套接字父进程也握着一份，"
        "始终开着；父进程立刻得知死讯，随即 fork 一个顶上。",
        moments={
            "started": "{workers} 个 sync 工作进程",
            "calls": "客户端 1 的长调用正由工作进程 {worker}（pid {pid}）执行",
            "killed": "向 pid {pid} 发送 SIGKILL",
            "lost": "{after:time} 内客户端 1 就得知调用丢了，可能已经执行过",
            "others": "客户端 2 调用 ping：工作进程 {worker} 在 {took:time} 内答复",
            "successor": "工作进程 {worker} 回来了，新 pid {pid}，距旧进程死亡 {took:time}",
        },
        so="死掉的进程：{died}；丢失的调用：{lost}；其余进程照常服务",
        tries=(Try(":spawn 3"), Try(":drill kill 2", "同样的过程，带时间线，期间不断有调用")),
    ),
    "reload": StepText(
        title="平滑重载，一个调用也不丢",
        about="逐个更换：新进程准备好了，旧进程才处理完手头的事情离开。"
        "它在最后的答复里注明 close：没收到答复的请求都没有执行，重发就是。",
        moments={
            "started": "4 个 sync 工作进程，第 0 代，pid：{pids}",
            "loops": "{clients} 个客户端不停地调用 ping",
            "reload": "开始重载",
            "reloaded": "{took:time} 后已是第 1 代，pid：{pids}",
        },
        so="期间共 {calls:count} 个调用，丢失 {lost} 个，最慢的用了 {longest:time}",
        tries=(Try(":spawn 4"), Try(":reload", "换成自己的程序：先改代码，再看新代码来答复")),
    ),
    "models": StepText(
        title="各个模型的代价",
        about="五种模型轮流上场，各 2 个工作进程，服务相同，数据都是刚刚测的。"
        "只是这台机器上的一瞬间：看高低比看数值更有意义。",
        moments={"measured": "{model} 测完"},
        so="客户端少而忙用 sync，多而闲用 pool 或 async，信不过处理函数用 fork",
        tries=(Try(":bench --models all -c 8 ping", "加上真正的压力再比"),),
    ),
}

TEXTS: Final = Texts(
    steps=_STEPS,
    words=Words(
        workers="进程",
        queue="队列",
        took="拿到",
        idle="{count} 个空闲",
        held="{count} 个被占",
        busy="{count} 个忙碌",
        connections="{count} 个连接",
        starting="{count} 个交接中",
        try_it="自己试试：",
        keys="{following} · b 上一步 · 1-9、0 跳转 · q 离开",
        last_keys="回车结束 · b 上一步 · 1-9、0 跳转",
        following="回车：{step} {title}",
        left="课程到此中断；:lesson {step} 可以接着看",
        over="课程结束；:lesson --list 列出各步，:help 列出命令",
    ),
    columns={
        "model": ModelColumn("模型"),
        "connect": ModelColumn("短连接", "连接、一次 ping、挂断（中位数）"),
        "cpu": ModelColumn("CPU", "服务器处理一次 ping 占用的处理器时间，32 个一批"),
        "slow": ModelColumn("8 慢调用", "8 个客户端同时各做一次 50 ms 的 sleep，全部完成"),
        "idle": ModelColumn("闲连接", "16 个只调用一次就不走的客户端，接进来几个"),
        "memory": ModelColumn("内存", "此时整个服务器占用（PSS）"),
    },
)
